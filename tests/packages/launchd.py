#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The property lists for launchd, parsed, as TAP.

usage: launchd.py BUILD-FOLDER
"""
import pathlib
import plistlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

SAME = {
    "Label": "com.nixfleet.agent",
    "RunAtLoad": True,
    "KeepAlive": True,
    "AbandonProcessGroup": True,
    "ThrottleInterval": 3,
    "ExitTimeOut": 60,
}
KEYS = set(SAME) | {"ProgramArguments", "EnvironmentVariables", "StandardOutPath", "StandardErrorPath"}
PATH_HAS = ["/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin", "/usr/bin", "/bin"]


def examine(name, config, logs, first_in_path):
    found = plistlib.loads((BUILD / "etc" / name).read_bytes())
    bad = [f"{key} is {found.get(key)!r} and not {value!r}" for key, value in SAME.items()
           if found.get(key) is not value and found.get(key) != value]
    bad += [f"{key} is missing" for key in sorted(KEYS - set(found))]
    # launchd ignores what it does not know, so a misspelt key would be silent.
    bad += [f"{key} is not one of ours" for key in sorted(set(found) - KEYS)]
    program, *options = found["ProgramArguments"]
    if pathlib.PurePath(program).name != "nixfleet-agent" or not program.startswith("/"):
        bad.append(f"{program} is started: a shell or a relative path")
    if options != config:
        bad.append(f"its options are {options}")
    path = found["EnvironmentVariables"]["PATH"].split(":")
    bad += [f"PATH lacks {folder}" for folder in PATH_HAS if folder not in path]
    if path[0] != first_in_path:
        bad.append(f"PATH begins with {path[0]}")
    if {found["StandardOutPath"], found["StandardErrorPath"]} != {logs}:
        bad.append("the log is elsewhere")
    if "TOKEN" in str(found["EnvironmentVariables"]):
        bad.append("a token in a file that everybody reads")
    return bad


def daemon():
    return examine("com.nixfleet.agent.plist", [], "/var/log/nixfleet-agent.log", PATH_HAS[0])


def user_agent():
    return examine("com.nixfleet.agent.user.plist", ["--config", "$HOME/.config/nixfleet-agent/agent.conf"],
                   "/tmp/nixfleet-agent.log", "$HOME/.nix-profile/bin")


sys.exit(tap.run([daemon, user_agent]))
