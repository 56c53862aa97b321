#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `meson install` puts where, and whether systemd takes the units, as TAP.

usage: layout.py BUILD-FOLDER
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
BUILD = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

FILES = [
    "bin/nixfleet-agent", "bin/nfctl",
    "libexec/nixfleet-agent/nixfleet-worker", "libexec/nixfleet-agent/nixfleet-runner",
    "share/doc/nixfleet-agent/agent.conf", "share/bash-completion/completions/nfctl",
    "share/zsh/site-functions/_nfctl", "share/fish/vendor_completions.d/nfctl.fish",
]
LINUX_FILES = ["lib/systemd/system/nixfleet-agent.service", "lib/systemd/user/nixfleet-agent.service",
               "lib/sysusers.d/nixfleet-agent.conf"]
PAGES = ["share/man/man8/nixfleet-agent.8", "share/man/man5/nixfleet-agent.conf.5", "share/man/man1/nfctl.1",
         "share/man/man7/nixfleet-agent-protocol.7"]


def option(name):
    shown = subprocess.run(["meson", "introspect", "--buildoptions", BUILD], capture_output=True, text=True,
                           check=True)
    return next(entry["value"] for entry in json.loads(shown.stdout) if entry["name"] == name)


PREFIX = option("prefix")
WANTED = FILES + (LINUX_FILES if sys.platform == "linux" else []) + (PAGES if shutil.which("scdoc") else [])


def install(folder):
    """Where the prefix is then."""
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", BUILD, "--destdir", folder],
                   check=True, capture_output=True)
    return pathlib.Path(folder) / PREFIX.lstrip("/")


def layout():
    """Every file is where it belongs, and nothing else is there: what a removal must know."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = install(folder)
        there = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
        outside = [path for path in pathlib.Path(folder).rglob("*")
                   if not path.is_dir() and prefix not in path.parents]
    extra = {name for name in there if not name.startswith("share/doc/")} - set(WANTED)
    return [f"{name} is missing" for name in sorted(set(WANTED) - there)] + [
        f"{name} was not expected" for name in sorted(extra)] + [f"{path} is outside the prefix" for path in outside]


def it_starts_from_there():
    """The installed agent finds its helpers, and says its version."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = install(folder)
        variables = {**os.environ, "NIXFLEET_STATE_DIR": f"{folder}/state", "NIXFLEET_RUNTIME_DIR": f"{folder}/run",
                     "NIXFLEET_URL": "", "NIXFLEET_REPO_DIR": folder}
        version = subprocess.run([prefix / "bin/nixfleet-agent", "--version"], capture_output=True, text=True,
                                 check=False, env=variables).stdout
        check = subprocess.run([prefix / "bin/nixfleet-agent", "--config", "/dev/null", "--check"],
                               capture_output=True, text=True, check=False, env=variables).stdout
    bad = [] if re.fullmatch(r"nixfleet-agent \d+\.\d+\.\d+\n", version) else [f"--version said {version!r}"]
    runner = f"{prefix}/bin/../libexec/nixfleet-agent/nixfleet-runner"
    return bad + ([] if runner in check else [f"--check found another runner: {check!r}"])


def verify(unit, *options):
    """systemd takes it; the programs it names are looked for where they were installed."""
    if not shutil.which("systemd-analyze"):
        return tap.skip("systemd-analyze is not installed")
    with tempfile.TemporaryDirectory() as folder:
        prefix = install(folder)
        text = (prefix / unit).read_text()
        bad = [] if f"ExecStart={PREFIX}/bin/nixfleet-agent" in text else [f"{unit} starts something else"]
        bad += [f"{unit} lacks {line}" for line in ("Delegate=yes", "KillMode=process", "Restart=always",
                                                     "StartLimitIntervalSec=0", "Type=notify") if line not in text]
        copy = pathlib.Path(folder, "nixfleet-agent.service")
        copy.write_text(text.replace(f"={PREFIX}/", f"={prefix}/"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *options, copy], capture_output=True,
                              text=True, check=False,
                              env={**os.environ, "XDG_RUNTIME_DIR": folder})
    return bad + [line for line in done.stderr.splitlines() if "nixfleet-agent" in line]


def unit_of_the_system():
    return verify("lib/systemd/system/nixfleet-agent.service")


def unit_of_a_user():
    return verify("lib/systemd/user/nixfleet-agent.service", "--user")


CHECKS = [layout, it_starts_from_there]
if sys.platform == "linux":
    CHECKS += [unit_of_the_system, unit_of_a_user]
sys.exit(tap.run(CHECKS))
