#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Builds the Debian package, lives with it in a throwaway copy of this machine, and looks at what is
left after a purge, as TAP.

The copy is an overlay over the root file system, in a mount namespace of its own: what the package
changes is what lies in the overlay's upper folder, and goes with it.

usage: debian.py BUILD-FOLDER
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402 pylint: disable=wrong-import-position

TOOLS = ["dpkg-deb", "dpkg-shlibdeps", "unshare", "chroot", "adduser", "runuser", "deb-systemd-helper"]
# The maintainer scripts' and dpkg's own traces, which stay of any package.
OF_DPKG = re.compile(r"^(var/lib/dpkg/|var/log/|var/cache/|etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|etc/\.pwd\.lock$|tmp/|"
                     r"root/|proc|dev|run/(lock|systemd|adduser))")
ACCOUNTS = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"]
OWN = ["etc/nixfleet-agent", "run/nixfleet-agent", "var/lib/nixfleet-agent"]
PLACES = ["usr/bin/nixfleet-agent", "usr/lib/systemd/system/nixfleet-agent.service", "etc/nixfleet-agent/agent.conf",
          "etc/systemd/system/multi-user.target.wants/nixfleet-agent.service"]


class Machine:
    """The copy: install and look as on a machine of one's own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.upper, self.root = self.folder / "upper", self.folder / "root"
        self.package = None

    def open(self):
        """Why it cannot be had, or None."""
        subprocess.run(["mount", "-t", "tmpfs", "none", self.folder], check=True)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        options = f"lowerdir=/,upperdir={self.upper},workdir={self.folder}/work"
        made = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], capture_output=True,
                              text=True, check=False)
        if made.returncode:
            return made.stderr.strip() or "no overlay file system"
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", self.root / name], check=True)
        # A running systemd is the real machine's, and none of the package's business here.
        shutil.rmtree(self.root / "run/systemd", ignore_errors=True)
        for name in OWN:  # an agent of this machine's, started by hand
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "tmp").mkdir(exist_ok=True)
        return None

    def command(self, *words):
        return subprocess.run(["chroot", self.root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                               "DEBIAN_FRONTEND=noninteractive", *words], capture_output=True, text=True, check=False)

    def lacks(self, *words):
        """What is wrong when a command that has to succeed does not."""
        done = self.command(*words)
        return [] if done.returncode == 0 else [f"{' '.join(words)}: exit {done.returncode}",
                                                *(done.stdout + done.stderr).splitlines()[-20:]]


def builds(machine):
    done = subprocess.run([ROOT / "etc/debian/build", "--build", BUILD / "debian"], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        return [*done.stderr.splitlines()[-20:], "etc/debian/build failed"]
    machine.package = pathlib.Path(done.stdout.splitlines()[-1])
    shutil.copy(machine.package, machine.root / "tmp/agent.deb")
    depends = subprocess.run(["dpkg-deb", "-f", machine.package, "Depends"], capture_output=True, text=True,
                             check=True).stdout
    return [f"Depends lacks {name}: {depends}" for name in ("libc6", "libcurl", "libevent", "libmsgpack", "libjansson",
                                                           "adduser") if name not in depends]


def installs(machine):
    bad = machine.lacks("dpkg", "-i", "/tmp/agent.deb")
    bad += [f"/{place} is missing" for place in PLACES if not os.path.lexists(machine.root / place)]
    version = machine.command("nixfleet-agent", "--version").stdout
    if not re.fullmatch(r"nixfleet-agent \d+\.\d+\.\d+\n", version):
        bad.append(f"--version said {version!r}")
    account = machine.command("getent", "passwd", "nixfleet-agent").stdout
    if not re.search(r":/var/lib/nixfleet-agent:/usr/s?bin/nologin$", account):
        bad.append(f"the account is {account!r}")
    bad += machine.lacks("getent", "group", "nixfleet")
    if machine.command("sh", "-c", "command -v systemd-analyze").returncode == 0:
        done = machine.command("systemd-analyze", "verify", "--man=no", "nixfleet-agent.service")
        bad += [line for line in done.stderr.splitlines() if "nixfleet-agent" in line]
    unit = (machine.root / PLACES[1]).read_text()
    return bad + ([] if "\nUser=nixfleet-agent\n" in unit else ["the service runs as root"])


def runs_a_command_as_its_own_user(machine):
    """What the service would do, without a systemd: an operation of the host's own, and its code."""
    for place in ("run/nixfleet-agent", "var/lib/nixfleet-agent"):
        bad = machine.lacks("install", "-d", "-o", "nixfleet-agent", "-m", "0755", f"/{place}")
        if bad:
            return bad
    operation = machine.root / "etc/nixfleet-agent/ops.d/hello"
    operation.write_text("#!/bin/sh\nid -un\nexit 7\n")
    operation.chmod(0o755)
    with subprocess.Popen(["chroot", machine.root, "runuser", "-u", "nixfleet-agent", "--", "env", "-i",
                           "PATH=/usr/bin:/bin", "HOME=/var/lib/nixfleet-agent",
                           "STATE_DIRECTORY=/var/lib/nixfleet-agent", "RUNTIME_DIRECTORY=/run/nixfleet-agent",
                           "NIXFLEET_REPO_DIR=/tmp", "/usr/bin/nixfleet-agent"], stderr=subprocess.PIPE,
                          text=True) as agent:
        until = time.monotonic() + 20
        while machine.command("nfctl", "status").returncode == 3 and time.monotonic() < until:
            time.sleep(0.1)
        status = machine.command("nfctl", "status")
        done = machine.command("nfctl", "run", "hello", "--wait")
        agent.terminate()
        log = agent.communicate(timeout=20)[1].splitlines()[-10:]
    operation.unlink()
    if done.returncode != 7 or "nixfleet-agent\n" not in done.stdout:
        return [f"nfctl run: exit {done.returncode}, {done.stdout!r} {done.stderr!r}",
                *status.stdout.splitlines(), *status.stderr.splitlines(), *log]
    return []


def keeps_the_configuration_over_an_upgrade(machine):
    config = machine.root / PLACES[2]
    config.write_text("NIXFLEET_LOCATION=work\n")
    bad = machine.lacks("dpkg", "-i", "--force-confold", "/tmp/agent.deb")
    return bad + ([] if config.read_text() == "NIXFLEET_LOCATION=work\n" else ["agent.conf was overwritten"])


def removes(machine):
    bad = machine.lacks("dpkg", "-r", "nixfleet-agent")
    bad += [f"/{place} is still there" for place in PLACES[:2] if os.path.lexists(machine.root / place)]
    bad += [] if (machine.root / PLACES[2]).exists() else ["agent.conf is gone, before a purge"]
    return bad + ([] if (machine.root / "var/lib/nixfleet-agent").is_dir() else ["the records are gone"])


def purges_and_leaves_nothing(machine):
    bad = machine.lacks("dpkg", "-P", "nixfleet-agent")
    for path in sorted(machine.upper.rglob("*")):
        name = str(path.relative_to(machine.upper))
        below = pathlib.Path("/", name)
        mode = path.lstat().st_mode
        if OF_DPKG.match(name) or name in ACCOUNTS or (name in OWN and stat.S_ISCHR(mode)):
            continue
        if stat.S_ISCHR(mode):
            bad.append(f"/{name} was there before and is gone")
        elif not stat.S_ISDIR(mode) or not os.path.lexists(below):
            bad.append(f"/{name} is left")
    for name in ACCOUNTS:
        if (machine.root / name).read_bytes() != pathlib.Path("/", name).read_bytes():
            bad.append(f"/{name} is not what it was")
    return bad


def story(machine, why):
    """The checks in their order; after a failure the rest would only repeat it."""
    steps = [builds, installs, runs_a_command_as_its_own_user, keeps_the_configuration_over_an_upgrade, removes,
             purges_and_leaves_nothing]

    def bind(step):
        def check():
            return tap.skip(why) if why else step(machine)
        check.__name__ = step.__name__
        return check
    return [bind(step) for step in steps]


def main():
    lacking = [tool for tool in TOOLS if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if lacking:
        return tap.run(story(None, f"{lacking[0]} is not installed"))
    if os.geteuid() != 0:
        return tap.run(story(None, "only root can mount the copy"))
    if os.environ.get("NIXFLEET_UNSHARED") != "1":
        able = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
        if able.returncode:
            return tap.run(story(None, "no mount namespace may be made"))
        os.environ["NIXFLEET_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder)
        try:
            why = machine.open()
            return tap.run(story(machine, why))
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", folder], check=False)


sys.exit(main())
