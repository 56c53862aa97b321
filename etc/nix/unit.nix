# SPDX-License-Identifier: AGPL-3.0-or-later
# The [Service] settings that the system's unit and a user's have in common. The reasons stand in
# etc/systemd/nixfleet-agent.service.in.
cfg: {
  Type = "notify";
  NotifyAccess = "main";
  ExecStart = "${cfg.package}/bin/nixfleet-agent";
  ExecReload = "${cfg.package}/bin/nfctl reload";
  Restart = "always";
  RestartSec = 3;
  RestartForceExitStatus = 101;
  SuccessExitStatus = 101;
  WatchdogSec = 60;
  WatchdogSignal = "SIGKILL";
  # A running command outlives the agent, in a cgroup that can be ended whole.
  Delegate = "yes";
  KillMode = "process";
  TimeoutStopSec = 60;
  OOMPolicy = "continue";
  # NIXFLEET_TOKEN=…, read by systemd, so that the file may be root's alone.
  EnvironmentFile = toString cfg.tokenFile;
}
