# SPDX-License-Identifier: AGPL-3.0-or-later
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixfleet-agent;
  # What the agent runs through sudo, by the paths under which sudo finds it, and nothing else:
  # switch and rollback, and reboot. nixos-rebuild with any argument is root's power, so naming the
  # arguments would only look safer.
  sudoRules = [
    {
      users = [ cfg.user ];
      commands = map (program: {
        command = "/run/current-system/sw/bin/${program}";
        options = [ "NOPASSWD" ];
      }) [ "nixos-rebuild" "reboot" ];
    }
  ];
in
{
  options.services.nixfleet-agent =
    import ./options.nix {
      inherit lib;
      package = self.packages.${pkgs.stdenv.hostPlatform.system}.nixfleet-agent;
      tokenFileType = lib.types.path;
    }
    // {
      user = lib.mkOption {
        type = lib.types.str;
        description = "The account that owns the repository's checkout and runs the commands.";
      };
    };

  config = lib.mkIf cfg.enable (
    import ./checks.nix cfg
    // {
      environment.systemPackages = [ cfg.package ];

      # Members may start and cancel commands with nfctl and read their output.
      users.groups.nixfleet = { };

      security.sudo.extraRules = sudoRules;
      security.sudo-rs.extraRules = sudoRules;

      systemd.services.nixfleet-agent = {
        description = "NixFleet host agent";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];

        # A switch may restart the agent that runs it. The older modules forbade that, because the
        # command died with the service. Here the command's runner is left alone (KillMode=process)
        # in a cgroup of its own (Delegate), the next agent finds it again and reports its true exit
        # code: so the new agent runs from the switch on. Restarted, not stopped and started at two
        # moments of the activation.
        restartIfChanged = true;
        stopIfChanged = false;

        # It is never given up, however often it fails.
        startLimitIntervalSec = 0;

        # The setuid sudo comes first: the unwrapped one refuses.
        path = [
          "/run/wrappers"
          "/run/current-system/sw"
          pkgs.git
          pkgs.openssh
        ];

        environment =
          import ./environment.nix {
            inherit cfg;
            isDarwin = false;
          }
          // {
            HOME = config.users.users.${cfg.user}.home or "/home/${cfg.user}";
            NIXFLEET_TOKEN_CACHE = "/var/lib/nixfleet-agent/token";
            # REPO_DIR goes before NIXCFG, so it is only said where the clone is the agent's own.
            NIXFLEET_REPO_DIR = if cfg.repoUrl != "" then "/var/lib/nixfleet-agent/repo" else "";
          };

        serviceConfig = import ./unit.nix cfg // {
          User = cfg.user;
          Group = "users";
          StateDirectory = "nixfleet-agent";
          StateDirectoryMode = "0700";
          RuntimeDirectory = "nixfleet-agent";
          RuntimeDirectoryMode = "0755";
          RuntimeDirectoryPreserve = "yes";
          # NoNewPrivileges and its kin stay off: sudo nixos-rebuild needs its setuid bit, and a
          # switch may change anything. The worker, which alone meets the network, sets them for
          # itself.
        };
      };
    }
  );
}
