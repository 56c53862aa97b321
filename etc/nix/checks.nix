# SPDX-License-Identifier: AGPL-3.0-or-later
# What is said about a configuration before anything is built.
cfg: {
  assertions = [
    {
      assertion = cfg.repoUrl == "" || cfg.configRepo == "";
      message = "services.nixfleet-agent: repoUrl and configRepo exclude each other";
    }
  ];
  warnings =
    if cfg.configRepo != "" then
      [ "services.nixfleet-agent.configRepo is deprecated: repoUrl gives the agent a clone of its own" ]
    else
      [ ];
}
