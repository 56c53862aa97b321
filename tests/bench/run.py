#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Measures the budgets with real processes and prints them as a table. Never a test: machines differ.

Usage: tests/bench/run.py BUILD-FOLDER    (a release build; state lies on tmpfs where /dev/shm is one)
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

LINES = 1_000_000
LINE = "x" * 99


def smaps(pid, key):
    total = 0
    for line in open(f"/proc/{pid}/smaps_rollup", encoding="ascii"):
        if line.startswith(key + ":"):
            total += int(line.split()[1])
    return total


def cpu_ms(pid):
    fields = open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def wakeups(pid):
    return sum(int(line.split()[1]) for line in open(f"/proc/{pid}/status", encoding="ascii")
               if line.startswith("voluntary_ctxt_switches"))


def until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.002)
    raise SystemExit("bench: what was waited for did not happen")


class Host:
    """A dashboard and an agent in a folder of their own."""

    def __init__(self, build, interval):
        self.build = build
        shm = pathlib.Path("/dev/shm")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nixfleet-bench-", dir=shm if shm.is_dir() else None))
        (self.folder / "bin").mkdir()
        (self.folder / "repo").mkdir()
        self.name = f"bench{os.getpid()}"
        self.log = self.folder / "requests"
        port_file = self.folder / "port"
        self.dashboard = subprocess.Popen(
            [build / "tests/dashboard/nixfleet-dashboard", "--listen", "127.0.0.1:0", "--port-file", port_file,
             "--log", self.log, "--token", "bench"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = int(until(lambda: port_file.exists() and port_file.read_text()))
        self.environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder),
            "NIXFLEET_URL": f"http://127.0.0.1:{self.port}", "NIXFLEET_ALLOW_INSECURE_HTTP": "1",
            "NIXFLEET_TOKEN": "bench", "NIXFLEET_HOSTNAME": self.name, "NIXFLEET_INTERVAL": str(interval),
            "NIXFLEET_STATE_DIR": f"{self.folder}/state", "NIXFLEET_RUNTIME_DIR": f"{self.folder}/run",
            "NIXFLEET_REPO_DIR": f"{self.folder}/repo"}

    def stub(self, text):
        path = self.folder / "bin/nixos-rebuild"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def start(self):
        self.started = time.monotonic()
        self.agent = subprocess.Popen(
            [self.build / "supervisor/nixfleet-agent", "--config", "/dev/null"], env=self.environment,
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "wb"))

    def requests(self, end):
        if not self.log.exists():
            return []
        rows = [json.loads(line) for line in self.log.read_text().splitlines() if line]
        return [row for row in rows if row["path"].endswith("/" + end) and self.name in row["path"]]

    def nfctl(self, *words):
        return subprocess.run(
            [self.build / "supervisor/nfctl/nfctl", "--socket", f"{self.folder}/run/control.sock", *words],
            capture_output=True, text=True, check=False)

    def status(self):
        try:
            return json.loads(self.nfctl("status", "--json").stdout)
        except ValueError:
            return {}

    def command(self, name):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/hosts/{self.name}/command", method="POST",
            data=json.dumps({"command": name}).encode(), headers={"Content-Type": "application/json"})
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()

    def close(self):
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait(20)
        self.dashboard.terminate()
        self.dashboard.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)


ROWS = []


def row(what, value, budget):
    ROWS.append((what, value, budget))
    print(f"{what:<52} {value:>16}   {budget}", flush=True)


def idle(build):
    host = Host(build, 60)
    host.start()
    first = until(lambda: host.requests("register"))[0]
    row("start of the process to first request", f"{first['ms'] - host.started * 1000:.0f} ms", "<= 40 ms")
    status = until(lambda: host.status().get("health") == 0 and host.status())
    agent, worker = status["pid"], status["worker_pid"]
    time.sleep(3)
    before = wakeups(agent) + wakeups(worker)
    time.sleep(30)
    after = wakeups(agent) + wakeups(worker)
    row("supervisor, idle, private dirty", f"{smaps(agent, 'Private_Dirty')} KiB", "<= 256 KiB")
    row("worker, idle over HTTP, private dirty", f"{smaps(worker, 'Private_Dirty')} KiB", "<= 2048 KiB (HTTPS)")
    row("whole agent, PSS", f"{smaps(agent, 'Pss') + smaps(worker, 'Pss')} KiB", "<= 9728 KiB")
    row("wake-ups a minute, interval 60", f"{(after - before) * 2}", "<= 40")
    host.close()


def heartbeats(build):
    host = Host(build, 0.1)
    host.start()
    status = until(lambda: host.status().get("health") == 0 and host.status())
    agent, worker = status["pid"], status["worker_pid"]
    cpu, count = cpu_ms(agent) + cpu_ms(worker), len(host.requests("register"))
    time.sleep(20)
    cpu = cpu_ms(agent) + cpu_ms(worker) - cpu
    count = len(host.requests("register")) - count
    row("CPU for one heartbeat over HTTP", f"{cpu / count:.2f} ms", "<= 1.5 ms")
    host.close()


def latency(build):
    host = Host(build, 0.2)
    host.stub(f"date +%s%N > {host.folder}/began\n")
    host.start()
    until(lambda: host.status().get("health") == 0)
    begin, end = [], []
    offset = time.time() - time.monotonic()
    for number in range(10):
        host.command("switch")
        until(lambda: len(host.requests("status")) > number)
        began = int((host.folder / "began").read_text()) / 1e6 - offset * 1000
        handed = [entry for entry in host.requests("register") if entry["command"]][-1]
        begin.append(began - handed["ms"])
        end.append(host.requests("status")[-1]["ms"] - began)
    row("command in the answer to its process runs (median)", f"{sorted(begin)[5]:.1f} ms", "<= 5 ms")
    row("its start to status sent (median)", f"{sorted(end)[5]:.1f} ms", "<= 5 ms after its end")
    host.close()


def flood(build):
    host = Host(build, 0.2)
    command = f"yes {LINE} | head -n {LINES}"
    host.stub(command + "\n")
    plain = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run(["sh", "-c", f"{command} > {host.folder}/plain"], check=True)
        plain.append(time.monotonic() - start)
    host.start()
    status = until(lambda: host.status().get("health") == 0 and host.status())
    before = smaps(status["worker_pid"], "Private_Dirty")
    for _ in range(3):
        host.nfctl("run", "switch", "--wait")
    runs = [run["elapsed_ms"] / 1000 for run in json.loads(host.nfctl("runs", "--json").stdout)]
    row("1,000,000 lines of 100 bytes, against a plain file",
        f"{min(runs) / min(plain):.2f} x", "<= 1.5 x")
    row("  worker's memory grew by", f"{smaps(status['worker_pid'], 'Private_Dirty') - before} KiB", "flat")
    host.close()


def stop(build):
    host = Host(build, 60)
    host.stub("i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; wait\n")
    host.start()
    until(lambda: host.status().get("health") == 0)
    host.nfctl("run", "switch")
    until(lambda: subprocess.run(["pgrep", "-cf", "^sleep 1000$"], capture_output=True, text=True,
                                 check=False).stdout.strip() >= "100")
    start = time.monotonic()
    host.nfctl("cancel")
    until(lambda: host.status()["why"] != "a command runs")
    row("stop of a tree of 100 processes that obey TERM", f"{(time.monotonic() - start) * 1000:.0f} ms", "<= 100 ms")
    host.close()


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 64
    build = pathlib.Path(sys.argv[1]).resolve()
    print(f"{'what':<52} {'measured':>16}   budget   ({socket.gethostname()}, {os.cpu_count()} cores)")
    for measure in (idle, heartbeats, latency, flood, stop):
        measure(build)
    return 0


sys.exit(main())
