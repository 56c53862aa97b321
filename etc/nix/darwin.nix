# SPDX-License-Identifier: AGPL-3.0-or-later
# For nix-darwin: a daemon of the system, which runs darwin-rebuild.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixfleet-agent;
  isRoot = cfg.user == null;
  # An ordinary account cannot write to /var/log.
  log = if isRoot then "/var/log/nixfleet-agent.log" else "/tmp/nixfleet-agent.log";
in
{
  options.services.nixfleet-agent =
    import ./options.nix {
      inherit lib;
      package = self.packages.${pkgs.stdenv.hostPlatform.system}.nixfleet-agent;
      tokenFileType = lib.types.str;
    }
    // {
      user = lib.mkOption {
        type = lib.types.nullOr lib.types.str;
        default = null;
        description = "The account that runs the commands; null: root.";
      };
    };

  config = lib.mkIf cfg.enable (
    import ./checks.nix cfg
    // {
      environment.systemPackages = [ cfg.package ];

      # What the agent of an ordinary account runs through sudo, and nothing else.
      security.sudo.extraConfig = lib.mkIf (!isRoot) ''
        ${cfg.user} ALL=(root) NOPASSWD: /run/current-system/sw/bin/darwin-rebuild, /sbin/reboot
      '';

      launchd.daemons.nixfleet-agent.serviceConfig = {
        Label = "com.nixfleet.agent";
        ProgramArguments = [ "${cfg.package}/bin/nixfleet-agent" ];
        RunAtLoad = true;
        KeepAlive = true;
        ThrottleInterval = 3;
        AbandonProcessGroup = true;
        ExitTimeOut = 60;
        EnvironmentVariables =
          import ./environment.nix {
            inherit cfg;
            isDarwin = true;
          }
          // {
            PATH = lib.concatStringsSep ":" [
              "/run/current-system/sw/bin"
              "/nix/var/nix/profiles/default/bin"
              "/usr/local/bin"
              "/usr/bin"
              "/bin"
              "/usr/sbin"
              "/sbin"
            ];
            NIXFLEET_MACOS_MANAGER = "nix-darwin";
            NIXFLEET_TOKEN_FILE = cfg.tokenFile;
          };
        StandardOutPath = log;
        StandardErrorPath = log;
      }
      // (if isRoot then { } else { UserName = cfg.user; });
    }
  );
}
