# SPDX-License-Identifier: AGPL-3.0-or-later
# The options that all three modules share. Names, types and defaults are those of the modules that
# hosts have already, so that a configuration stays as it is.
{ lib, package, tokenFileType }:
let
  inherit (lib) mkOption types;
  text =
    default: description:
    mkOption {
      type = types.str;
      inherit default description;
    };
in
{
  enable = lib.mkEnableOption "the NixFleet host agent";

  package = mkOption {
    type = types.package;
    default = package;
    description = "The package to run.";
  };

  url = mkOption {
    type = types.str;
    description = "The dashboard; its scheme selects the protocol: https:// or wss://.";
  };

  tokenFile = mkOption {
    type = tokenFileType;
    description = ''
      The file with the dashboard's token: NIXFLEET_TOKEN=TOKEN for systemd, which reads it as an
      EnvironmentFile; launchd hosts may have the bare token in it. Not in the Nix store.
    '';
  };

  repoUrl = text "" "The configuration repository, cloned and owned by the agent.";
  configRepo = text "" "Deprecated: a person's checkout of it. Not together with repoUrl.";
  branch = text "main" "The branch of repoUrl.";

  interval = mkOption {
    type = types.ints.between 1 3600;
    default = 5;
    description = "Seconds between heartbeats.";
  };

  logLevel = mkOption {
    type = types.enum [
      "debug"
      "info"
      "warn"
      "error"
    ];
    default = "info";
    description = "How much is logged.";
  };

  hostname = text "" "The name at the dashboard; empty: the machine's.";
  version = text "" "Ignored: the agent reports its own version.";
  nixpkgsVersion = text "" "What to report as nixpkgs' version; empty: what the system says.";
  themeColor = text "" "The host's colour on the dashboard, # and six hex digits; empty: by platform.";

  location = mkOption {
    type = types.enum [
      "home"
      "work"
      "cloud"
      "office"
      "mobile"
      "other"
    ];
    default = "home";
    description = "Where the host is, for the dashboard.";
  };

  deviceType = mkOption {
    type = types.enum [
      "server"
      "desktop"
      "laptop"
      "gaming"
      "vm"
      "container"
      "other"
    ];
    default = "desktop";
    description = "What the host is, for the dashboard; the last three are reported as server.";
  };

  sshKeyFile = mkOption {
    type = types.nullOr tokenFileType;
    default = null;
    description = "The key with which repoUrl is fetched.";
  };
}
