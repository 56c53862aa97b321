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
  isDarwin = pkgs.stdenv.hostPlatform.isDarwin;
  home = config.home.homeDirectory;
  environment = import ./environment.nix { inherit cfg isDarwin; };
  path = [
    "${home}/.nix-profile/bin"
    "/etc/profiles/per-user/${config.home.username}/bin"
    "/nix/var/nix/profiles/default/bin"
    "/run/current-system/sw/bin"
  ];

  # One word of Environment=, whatever is in the value: % begins a specifier there.
  word = name: value: "\"${name}=${
    builtins.replaceStrings [ "\\" "\"" "%" ] [ "\\\\" "\\\"" "%%" ] value
  }\"";
  words = set: map (name: word name set.${name}) (builtins.attrNames set);

  unit = {
    Unit = {
      Description = "NixFleet host agent";
      # A user's manager has no network-online.target; the agent waits for the network itself.
      StartLimitIntervalSec = 0;
    };
    Service = import ./unit.nix cfg // {
      Environment =
        words (
          environment
          // {
            PATH = lib.concatStringsSep ":" (
              [ "/run/wrappers/bin" ] ++ path ++ [ "/usr/local/bin" "/usr/bin" "/bin" ]
            );
          }
        )
        # As on NixOS: only where the clone is the agent's own.
        ++ (if cfg.repoUrl != "" then [ "NIXFLEET_REPO_DIR=%h/.local/state/nixfleet-agent/repo" ] else [ ]);
    };
    Install.WantedBy = [ "default.target" ];
  };

  # No wrapper waits for the network, the gate is inside; and no hook reloads it: home-manager
  # unloads and loads what changed, and AbandonProcessGroup keeps a running switch alive meanwhile.
  agent = {
    enable = true;
    config = {
      Label = "com.nixfleet.agent";
      ProgramArguments = [ "${cfg.package}/bin/nixfleet-agent" ];
      RunAtLoad = true;
      KeepAlive = true;
      ThrottleInterval = 3;
      AbandonProcessGroup = true;
      ExitTimeOut = 60;
      EnvironmentVariables = environment // {
        HOME = home;
        PATH = lib.concatStringsSep ":" (
          path ++ [ "/usr/local/bin" "/usr/bin" "/bin" "/usr/sbin" "/sbin" ]
        );
        # Read by the agent: the bare token or NIXFLEET_TOKEN=…
        NIXFLEET_TOKEN_FILE = toString cfg.tokenFile;
      };
      StandardOutPath = "/tmp/nixfleet-agent.log";
      StandardErrorPath = "/tmp/nixfleet-agent.log";
    };
  };
in
{
  options.services.nixfleet-agent = import ./options.nix {
    inherit lib;
    package = self.packages.${pkgs.stdenv.hostPlatform.system}.nixfleet-agent;
    tokenFileType = lib.types.str;
  };

  config = lib.mkIf cfg.enable (
    import ./checks.nix cfg
    // {
      home.packages = [ cfg.package ];
      systemd.user.services = lib.mkIf (!isDarwin) { nixfleet-agent = unit; };
      launchd.agents = lib.mkIf isDarwin { nixfleet-agent = agent; };
    }
  );
}
