#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Nix modules, evaluated with a small stand-in for nixpkgs, as TAP: their options are those that
hosts have set for years, and become the variables, units and sudo rules that the agent wants.

usage: nix.py BUILD-FOLDER
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "etc/nix"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "etc/man")]
import fill  # noqa: E402 pylint: disable=wrong-import-position
import tap  # noqa: E402 pylint: disable=wrong-import-position

# option: (type, default), as hosts know them.
LOCATIONS = "enum home work cloud office mobile other"
DEVICES = "enum server desktop laptop gaming vm container other"
REQUIRED = "required"
OPTIONS = {
    "enable": ("bool", False), "package": ("package", None), "url": ("str", REQUIRED),
    "repoUrl": ("str", ""), "configRepo": ("str", ""), "branch": ("str", "main"), "interval": ("1..3600", 5),
    "logLevel": ("enum debug info warn error", "info"), "hostname": ("str", ""), "version": ("str", ""),
    "nixpkgsVersion": ("str", ""), "themeColor": ("str", ""), "location": (LOCATIONS, "home"),
    "deviceType": (DEVICES, "desktop"),
}
NIXOS = {**OPTIONS, "tokenFile": ("path", REQUIRED), "sshKeyFile": ("null or path", None), "user": ("str", REQUIRED)}
HOME = {**OPTIONS, "tokenFile": ("str", REQUIRED), "sshKeyFile": ("null or str", None)}
DARWIN = {**HOME, "user": ("null or str", None)}

PLAIN = {
    "NIXFLEET_URL": "wss://fleet.example/ws", "NIXFLEET_INTERVAL": "5", "NIXFLEET_LOG_LEVEL": "info",
    "NIXFLEET_HOSTNAME": "", "NIXFLEET_NIXCFG": "", "NIXFLEET_REPO_URL": "", "NIXFLEET_BRANCH": "main",
    "NIXFLEET_SSH_KEY": "", "NIXFLEET_NIXPKGS_VERSION": "", "NIXFLEET_LOCATION": "home",
    "NIXFLEET_DEVICE_TYPE": "desktop", "NIXFLEET_THEME_COLOR": "#7aa2f7",
}
FULL = {
    **PLAIN, "NIXFLEET_INTERVAL": "30", "NIXFLEET_LOG_LEVEL": "debug", "NIXFLEET_HOSTNAME": "web1",
    "NIXFLEET_REPO_URL": "https://git.example/c.git", "NIXFLEET_BRANCH": "prod", "NIXFLEET_SSH_KEY": "/run/key",
    "NIXFLEET_NIXPKGS_VERSION": "25.05", "NIXFLEET_LOCATION": "office", "NIXFLEET_DEVICE_TYPE": "vm",
    "NIXFLEET_THEME_COLOR": "#112233",
}
MAC = {**PLAIN, "NIXFLEET_THEME_COLOR": "#bb9af7"}
# What no unit of ours may lack.
SERVICE = {
    "Type": "notify", "ExecStart": "/store/agent/bin/nixfleet-agent",
    "ExecReload": "/store/agent/bin/nfctl reload", "Restart": "always", "RestartSec": 3,
    "RestartForceExitStatus": 101, "SuccessExitStatus": 101, "WatchdogSec": 60, "Delegate": "yes",
    "KillMode": "process", "TimeoutStopSec": 60, "EnvironmentFile": "/run/token",
}
SYSTEM_SERVICE = {
    **SERVICE, "User": "alice", "Group": "users", "StateDirectory": "nixfleet-agent", "StateDirectoryMode": "0700",
    "RuntimeDirectory": "nixfleet-agent", "RuntimeDirectoryPreserve": "yes",
}
AGENT = {
    "Label": "com.nixfleet.agent", "ProgramArguments": ["/store/agent/bin/nixfleet-agent"], "RunAtLoad": True,
    "KeepAlive": True, "AbandonProcessGroup": True, "ThrottleInterval": 3, "ExitTimeOut": 60,
}


def evaluate():
    """What check.nix comes to, or why not."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://",
             ROOT / "tests/packages/nix/check.nix", "--arg", "folder", str(FOLDER)],
            capture_output=True, text=True, check=False, env={**os.environ, "HOME": home, "NIX_PATH": ""})
    if done.returncode:
        raise SystemExit("Bail out! " + done.stderr)
    return json.loads(done.stdout)


def differs(what, found, wanted):
    """Every wanted key has its value; what else there is, is not looked at."""
    return [f"{what}: {key} is {found.get(key)!r} and not {value!r}" for key, value in wanted.items()
            if found.get(key) != value]


def same(what, found, wanted):
    return differs(what, found, wanted) + [f"{what}: {key} was not expected" for key in sorted(set(found) - set(wanted))]


def words_of(unit):
    """A user unit's Environment= lines as systemd reads them."""
    found = {}
    for line in unit["Service"]["Environment"]:
        if line.startswith('"'):
            line = re.sub(r"\\(.)", r"\1", line[1:-1])
        name, value = line.split("=", 1)
        found[name] = re.sub("%(.)", lambda word: {"%": "%", "h": "/people/alice"}.get(word[1], "?"), value)
    return found


def options(made):
    bad = []
    for name, wanted in (("nixos", NIXOS), ("home", HOME), ("darwin", DARWIN)):
        found = {option: (shown["type"], REQUIRED if shown["required"] else shown["default"])
                 for option, shown in made[name]["options"].items()}
        bad += same(name, found, wanted)
    return bad


def values_of_another_type(made):
    return [f"{name} was taken" for name, refused in made["refused"].items() if not refused] + (
        [] if made["accepted"] else ["everything is refused"])


def nixos(made):
    bad = []
    repository = {"NIXFLEET_REPO_DIR": ""}
    own = {"HOME": "/people/alice", "NIXFLEET_TOKEN_CACHE": "/var/lib/nixfleet-agent/token"}
    for name, wanted in (("nixos", PLAIN | repository),
                         ("nixosFull", FULL | {"NIXFLEET_REPO_DIR": "/var/lib/nixfleet-agent/repo"}),
                         ("nixosCheckout", PLAIN | repository | {"NIXFLEET_NIXCFG": "/people/alice/config"})):
        config = made[name]["config"]
        service = config["systemd"]["services"]["nixfleet-agent"]
        bad += same(name, service["environment"], wanted | own)
        bad += differs(name, service["serviceConfig"], SYSTEM_SERVICE)
        bad += differs(name, service, {"restartIfChanged": True, "stopIfChanged": False, "startLimitIntervalSec": 0})
        bad += [f"{name}: PATH begins with {service['path'][:2]}"] if service["path"][:2] != [
            "/run/wrappers", "/run/current-system/sw"] else []
        bad += [f"{name}: {key} keeps sudo from working" for key in (
            "NoNewPrivileges", "ProtectSystem", "PrivateTmp", "CapabilityBoundingSet", "RestrictSUIDSGID")
                if key in service["serviceConfig"]]
        bad += [] if "nixfleet" in config["users"]["groups"] else [f"{name}: no group for operators"]
    return bad + ([] if made["nixosOff"] == {} else ["something is configured though it is not enabled"])


def sudo_rules(made):
    """Exactly the programs that a step of ops.def runs through sudo, on each kind of host."""
    table = (ROOT / "supervisor/ops.def").read_text()
    run = set(re.findall(r'ARGV\("sudo", "-n", "([^-"][^"]*)"', table))
    linux, mac = {"nixos-rebuild", "reboot"}, {"darwin-rebuild", "reboot"}
    bad = [] if run == linux | mac else [f"ops.def runs {sorted(run)} through sudo"]
    security = made["nixos"]["config"]["security"]
    for name in ("sudo", "sudo-rs"):
        (rule,) = security[name]["extraRules"]
        found = {entry["command"]: entry["options"] for entry in rule["commands"]}
        bad += same(name, found, {f"/run/current-system/sw/bin/{program}": ["NOPASSWD"] for program in linux})
        bad += [] if rule["users"] == ["alice"] else [f"{name}: the rule is for {rule['users']}"]
    line = made["darwinUser"]["config"]["security"]["sudo"]["extraConfig"].strip()
    if line != "alice ALL=(root) NOPASSWD: /run/current-system/sw/bin/darwin-rebuild, /sbin/reboot":
        bad.append(f"darwin: {line}")
    return bad + (["darwin: a rule for root"] if "security" in made["darwin"]["config"] and made["darwin"]["config"][
        "security"].get("sudo", {}) else [])


def one_repository(made):
    def verdicts(name):
        return [entry["assertion"] for entry in made[name]["config"]["assertions"]]
    bad = [] if verdicts("bothRepositories") == [False] else ["repoUrl and configRepo together are taken"]
    bad += [f"{name} is refused" for name in ("nixos", "nixosFull", "nixosCheckout") if verdicts(name) != [True]]
    return bad + ([] if made["nixosCheckout"]["config"]["warnings"] and not made["nixos"]["config"]["warnings"]
                  else ["configRepo is not said to be deprecated"])


def home_manager(made):
    bad = []
    for name, wanted in (("home", PLAIN), ("homeFull", FULL | {
            "NIXFLEET_HOSTNAME": 'a"b%c', "NIXFLEET_REPO_DIR": "/people/alice/.local/state/nixfleet-agent/repo"})):
        config = made[name]["config"]
        unit = config["systemd"]["user"]["services"]["nixfleet-agent"]
        found = words_of(unit)
        path = found.pop("PATH").split(":")
        bad += same(name, found, wanted)
        bad += differs(name, unit["Service"], SERVICE)
        bad += [f"{name}: PATH lacks {folder}" for folder in (
            "/people/alice/.nix-profile/bin", "/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin",
            "/usr/bin") if folder not in path]
        bad += [] if unit["Install"]["WantedBy"] == ["default.target"] else [f"{name}: it is not started"]
        bad += [f"{name}: a launchd agent"] if "agents" in config.get("launchd", {}) else []
    return bad


def macs(made):
    bad = []
    for name, wanted in (("mac", MAC), ("macFull", FULL)):
        config = made[name]["config"]
        agent = config["launchd"]["agents"]["nixfleet-agent"]
        found = dict(agent["config"]["EnvironmentVariables"])
        path = found.pop("PATH").split(":")
        bad += same(name, found, wanted | {"HOME": "/people/alice", "NIXFLEET_TOKEN_FILE": "/run/token"})
        bad += differs(name, agent["config"], AGENT) + differs(name, agent, {"enable": True})
        bad += [] if path[:1] == ["/people/alice/.nix-profile/bin"] else [f"{name}: PATH is {path}"]
        bad += [f"{name}: a unit for systemd"] if "services" in config.get("systemd", {}).get("user", {}) else []
    for name, user, log in (("darwin", None, "/var/log/nixfleet-agent.log"),
                            ("darwinUser", "alice", "/tmp/nixfleet-agent.log")):
        daemon = made[name]["config"]["launchd"]["daemons"]["nixfleet-agent"]["serviceConfig"]
        found = dict(daemon["EnvironmentVariables"])
        del found["PATH"]
        bad += same(name, found, MAC | {"NIXFLEET_TOKEN_FILE": "/run/token", "NIXFLEET_MACOS_MANAGER": "nix-darwin"})
        bad += differs(name, daemon, AGENT | {"UserName": user, "StandardOutPath": log,
                                               "StandardErrorPath": log})
    return bad


def variables_are_settings(made):
    """Whatever a module exports is a setting of the agent's: a typing error would be silent."""
    known = set(fill.settings(ROOT))
    used = set(made["nixos"]["config"]["systemd"]["services"]["nixfleet-agent"]["environment"]) | set(
        words_of(made["homeFull"]["config"]["systemd"]["user"]["services"]["nixfleet-agent"])) | set(
        made["darwin"]["config"]["launchd"]["daemons"]["nixfleet-agent"]["serviceConfig"]["EnvironmentVariables"])
    return [f"{name} is no setting" for name in sorted(used - known - {"HOME", "PATH"})]


def flake(made):
    both = ["default", "nixfleet-agent"]
    outputs = made["flake"]
    bad = [f"{name} has {sorted(outputs.get(name, {}))}" for name in ("nixosModules", "homeManagerModules",
                                                                      "darwinModules")
           if sorted(outputs.get(name, {})) != both]
    bad += [f"packages.{system} has {names}" for system, names in outputs["packages"].items() if names != both]
    bad += [] if len(outputs["packages"]) == 4 else ["a platform is missing"]
    version = re.search(r"^  version: '([^']+)'", (ROOT / "meson.build").read_text(), re.MULTILINE)[1]
    bad += differs("package", made["package"], {"pname": "nixfleet-agent", "version": version})
    known = set(re.findall(r"^option\('(\w+)'", (ROOT / "meson_options.txt").read_text(), re.MULTILINE))
    bad += [f"{flag} is no option of the build" for flag in made["package"]["mesonFlags"]
            if re.match(r"-D(\w+)=", flag)[1] not in known]
    return bad + ([] if made["flakeTest"] == "nixfleet-agent" else ["the machine's test is missing"])


def as_a_flake(_):
    """Evaluated as people's machines do it: pure, from a commit, in a folder below the root."""
    if not shutil.which("nix") or not shutil.which("git") or not (ROOT / ".git").exists():
        return tap.skip("no nix, or no git repository")
    with tempfile.TemporaryDirectory() as folder:
        places = {f"NIX_{name}_DIR": f"{folder}/{name}" for name in ("STORE", "STATE", "LOCALSTATE", "LOG", "CONF")}
        done = subprocess.run(
            ["nix", "--extra-experimental-features", "nix-command flakes", "eval", "--json", "--no-write-lock-file",
             "--override-input", "nixpkgs", f"path:{ROOT}/tests/packages/nix", f"git+file:{ROOT}?dir=etc/nix#packages",
             "--apply", "builtins.mapAttrs (_: made: { inherit (made.default) version mesonFlags src; })"],
            capture_output=True, text=True, check=False, env={**os.environ, **places, "HOME": folder})
    if done.returncode:
        return done.stderr.splitlines()
    version = re.search(r"^  version: '([^']+)'", (ROOT / "meson.build").read_text(), re.MULTILINE)[1]
    bad = []
    for system, made in json.loads(done.stdout).items():
        bad += differs(system, made, {"version": version})
        bad += [] if made["src"].endswith("-source") else [f"{system}: the sources are {made['src']}"]
    return bad


CHECKS = [options, values_of_another_type, nixos, sudo_rules, one_repository, home_manager, macs,
          variables_are_settings, flake, as_a_flake]


def main():
    why = None if shutil.which("nix-instantiate") else tap.skip("nix is not installed")
    made = None if why else evaluate()

    def bind(check):
        def bound():
            return why or check(made)
        bound.__name__ = check.__name__
        return bound
    return tap.run([bind(check) for check in CHECKS])


sys.exit(main())
