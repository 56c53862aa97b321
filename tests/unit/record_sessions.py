#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes the recordings anew from real sessions, when the core's events have changed.

Usage: record_sessions.py BUILD-FOLDER    (writes tests/unit/recordings/*.flight; look at them with --replay --print)
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

RECORDINGS = pathlib.Path(__file__).resolve().parent / "recordings"
REBUILD = """#!/bin/sh
echo 'building the system configuration...' >&2
sleep 0.2
echo 'activating the configuration...' >&2
echo done
"""
# What is asked of the host, one after the other.
SESSIONS = {
    "session": ("http", ["switch", "test"]),
    "refused": ("http", ["bogus", "switch"]),
    "websocket": ("ws", ["test", "bogus", "switch"]),
}


def until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    raise SystemExit("what was waited for did not happen")


def ask(port, method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method,
                                     data=json.dumps(body).encode() if body else None)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.loads(opener.open(request).read())


def make_host(folder):
    tests = folder / "repo/hosts/toy/tests"
    tests.mkdir(parents=True)
    for number in (1, 2, 3):
        script = tests / f"T0{number}.sh"
        script.write_text(f"#!/bin/sh\nsleep 0.7\nexit {int(number == 2)}\n")
        script.chmod(0o755)
    (folder / "bin").mkdir()
    (folder / "bin/nixos-rebuild").write_text(REBUILD)
    (folder / "bin/nixos-rebuild").chmod(0o755)
    (folder / "repo/flake.lock").write_text("{}\n")
    git = ["git", "-C", str(folder / "repo"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)


def trimmed(data):
    """The first half without what was written in advance."""
    at = 0
    while (size := int.from_bytes(data[at:at + 4], "big")) > 0:
        at += 8 + size
    return data[:at]


def record(build, folder, scheme, commands):
    make_host(folder)
    port_file = folder / "port"
    dashboard = subprocess.Popen([build / "tests/dashboard/nixfleet-dashboard", "--listen", "127.0.0.1:0",
                                  "--port-file", port_file, "--token", "toy", "--provision"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = int(until(lambda: port_file.exists() and port_file.read_text()))
    environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder),
                   "NIXFLEET_URL": f"{scheme}://127.0.0.1:{port}" + ("/ws" if scheme == "ws" else ""),
                   "NIXFLEET_ALLOW_INSECURE_HTTP": "1", "NIXFLEET_TOKEN": "toy", "NIXFLEET_HOSTNAME": "toy",
                   "NIXFLEET_INTERVAL": "2", "NIXFLEET_STATE_DIR": f"{folder}/state",
                   "NIXFLEET_RUNTIME_DIR": f"{folder}/run", "NIXFLEET_REPO_DIR": f"{folder}/repo"}
    agent = subprocess.Popen([build / "supervisor/nixfleet-agent", "--config", "/dev/null"], env=environment,
                             stderr=open(folder / "log", "wb"))
    seen = lambda: next((host for host in ask(port, "GET", "/api/hosts") if host["id"] == "toy"), None)
    until(lambda: (seen() or {}).get("online"))
    for number, command in enumerate(commands, 1):
        ask(port, "POST", "/api/hosts/toy/command", {"command": command, "force": True})
        until(lambda wanted=number: sum(row["status"] is not None for row in seen()["log"]) >= wanted)
    time.sleep(0.5)  # a few more events
    if agent.poll() is None:
        agent.send_signal(signal.SIGTERM)
    agent.wait(20)
    dashboard.terminate()
    dashboard.wait(5)
    return trimmed((folder / "state/flight").read_bytes())


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    for name, (scheme, commands) in SESSIONS.items():
        with tempfile.TemporaryDirectory(prefix="nixfleet-record-") as folder:
            data = record(build, pathlib.Path(folder), scheme, commands)
        (RECORDINGS / f"{name}.flight").write_bytes(data)
        print(f"{name}: {len(data)} bytes")


main()
