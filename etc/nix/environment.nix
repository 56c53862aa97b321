# SPDX-License-Identifier: AGPL-3.0-or-later
# What the options become. An empty variable counts as unset, so all of them are there always.
{ cfg, isDarwin }:
{
  NIXFLEET_URL = cfg.url;
  NIXFLEET_INTERVAL = toString cfg.interval;
  NIXFLEET_LOG_LEVEL = cfg.logLevel;
  NIXFLEET_HOSTNAME = cfg.hostname;
  NIXFLEET_NIXCFG = cfg.configRepo;
  NIXFLEET_REPO_URL = cfg.repoUrl;
  NIXFLEET_BRANCH = cfg.branch;
  NIXFLEET_SSH_KEY = if cfg.sshKeyFile == null then "" else toString cfg.sshKeyFile;
  NIXFLEET_NIXPKGS_VERSION = cfg.nixpkgsVersion;
  NIXFLEET_LOCATION = cfg.location;
  NIXFLEET_DEVICE_TYPE = cfg.deviceType;
  NIXFLEET_THEME_COLOR =
    if cfg.themeColor != "" then
      cfg.themeColor
    else if isDarwin then
      "#bb9af7"
    else
      "#7aa2f7";
}
