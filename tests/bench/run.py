#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Measures the budgets with real processes and prints them as a table. Never a test: machines differ.

Usage: tests/bench/run.py [--only NAME]… BUILD-FOLDER
  BUILD-FOLDER  a release build; state lies on tmpfs where /dev/shm is one, but where a row says so
  --only NAME   one part: %s
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from host import Host, children, cpu_ms, median, smaps, until, wakeups

LINES = 1_000_000
LINE = "x" * 99
missed = 0


def row(what, value, unit, most=None, note=""):
    """One line of the table; most is the budget, the largest value that is well."""
    global missed
    verdict = "" if most is None else "ok" if value <= most else "MISSED"
    missed += verdict == "MISSED"
    number = f"{value:.2f}" if isinstance(value, float) else str(value)
    budget = f"<= {most} {unit}" if most is not None else ""
    print(f"{what:<58} {number:>9} {unit:<8} {budget:<14} {verdict:<7} {note}", flush=True)


def heading(text):
    print(f"\n{text}")


# --- Idle ---

def start_to_request(host, kind):
    """From the start of the process to what the dashboard has first; the median of five starts."""
    took = []
    for _ in range(5):
        known = len(host.requests(kind))
        started = host.start()
        first = until(lambda: host.requests(kind)[known:])[0]
        took.append(first["ms"] - started)
        host.stop()
    return median(took)


def idle_over(build, scheme, worker_budget, note):
    host = Host(build, 60, scheme)
    row(f"start of the process to first register, {scheme}", start_to_request(host, "register"), "ms", 40)
    host.start()
    status = host.ready()
    agent, worker = status["pid"], status["worker_pid"]
    lookers = children(worker)
    time.sleep(3)
    before = wakeups(agent, worker, *lookers)
    time.sleep(30)
    row(f"wake-ups a minute at interval 60, {scheme}", (wakeups(agent, worker, *lookers) - before) * 2, "", 40)
    row(f"supervisor, idle, private dirty, {scheme}", smaps(agent, "Private_Dirty"), "KiB", 256)
    row(f"worker, idle, private dirty, {scheme}", smaps(worker, "Private_Dirty"), "KiB", worker_budget, note)
    row(f"who looks at the repository, idle, private dirty, {scheme}",
        sum(smaps(pid, "Private_Dirty") for pid in lookers), "KiB", 512)
    row(f"whole agent, PSS, {scheme}", sum(smaps(pid, "Pss") for pid in (agent, worker, *lookers)), "KiB", 9728)
    host.close()


def idle_with_bundle(build):
    """The same certificates as one file, which the TLS library reads whole."""
    host = Host(build, 60, "https")
    del host.environment["SSL_CERT_DIR"]
    host.environment["SSL_CERT_FILE"] = str(host.folder / "bundle.pem")
    host.start()
    worker = host.ready()["worker_pid"]
    time.sleep(3)
    row("worker, idle, private dirty, https", smaps(worker, "Private_Dirty"), "KiB", 2970, "with a CA bundle")
    host.close()


def idle(build):
    heading("Idle")
    idle_over(build, "http", 2048, "")
    idle_over(build, "https", 2048, "with a hashed CA folder")
    idle_over(build, "wss", 2048, "with a hashed CA folder")
    idle_with_bundle(build)


# --- Heartbeats ---

def heartbeats_over(build, scheme, most):
    host = Host(build, 0.1, scheme)
    host.start()
    status = host.ready()
    pids = status["pid"], status["worker_pid"], *children(status["worker_pid"])
    kind = "heartbeat" if scheme.startswith("ws") else "register"
    until(lambda: len(host.requests(kind)) > 5)
    cpu, count = cpu_ms(*pids), len(host.requests(kind))
    time.sleep(20)
    cpu, count = cpu_ms(*pids) - cpu, len(host.requests(kind)) - count
    note = ""
    if scheme == "https":
        made, resumed = host.front.resumed()
        note = f"{resumed} of {made} handshakes resumed"
        if resumed < made - 3:
            raise SystemExit(f"bench: sessions are not resumed: {note}")
    row(f"CPU for one heartbeat, {scheme}", cpu / count, "ms", most, note)
    host.close()


def heartbeats(build):
    heading("Heartbeats")
    heartbeats_over(build, "http", 1.5)
    heartbeats_over(build, "https", 3.0)
    heartbeats_over(build, "ws", 0.3)
    heartbeats_over(build, "wss", 0.3)


# --- Commands ---

def own_start(host):
    """What the stub itself needs until its first word is read: median of 20."""
    took = []
    for number in range(20):
        started = time.monotonic() * 1000
        child = os.posix_spawn(host.folder / "bin/nixos-rebuild", ["nixos-rebuild"], os.environ)
        os.waitpid(child, 0)
        took.append(until(lambda: host.marks.times.get("began", [])[number:])[0] - started)
    host.marks.times.clear()
    return median(took)


def latency_over(build, scheme, root, budgets):
    """Handed out to running, and ended to reported: medians of 20."""
    is_socket = scheme.startswith("ws")
    host = Host(build, 1 if is_socket else 0.2, scheme, root)
    host.stub(f"echo began > {host.marks.path}; echo ended > {host.marks.path}; exit 3\n")
    stub = own_start(host)
    host.start()
    host.ready()
    begin, end = [], []
    for number in range(20):
        host.command("switch")
        until(lambda: min(len(host.requests("status")), *(
            len(host.marks.times.get(mark, [])) for mark in ("began", "ended"))) > number)
        handed = ([entry for entry in host.requests("command") if entry["method"] == "OUT"] if is_socket else
                  [entry for entry in host.requests("register") if entry["command"]])[-1]
        begin.append(host.marks.times["began"][number] - stub - handed["ms"])
        end.append(host.requests("status")[number]["ms"] - host.marks.times["ended"][number])
    host.close()
    where = f"{scheme}, {'tmpfs' if budgets[0] else 'disk'}"
    row(f"command handed out to its process runs, {where}", median(begin), "ms", budgets[0],
        f"without the {stub:.2f} ms that the process itself needs")
    row(f"its end to status at the dashboard, {where}", median(end), "ms", budgets[1])


def sync_cost(folder):
    """A file of 16 KiB and its folder, synced: what each record costs at least."""
    took = []
    place = pathlib.Path(folder) / f"nixfleet-bench-{os.getpid()}"
    place.mkdir()
    for number in range(20):
        started = time.monotonic()
        with open(place / str(number), "wb") as record:
            record.write(b"x" * 16384)
            record.flush()
            os.fsync(record.fileno())
        handle = os.open(place, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        took.append((time.monotonic() - started) * 1000)
    shutil.rmtree(place)
    return median(took)


def latency(build):
    heading("From command to process, from end to status")
    latency_over(build, "http", "/dev/shm", (5, 5))
    latency_over(build, "http", build, (None, None))
    latency_over(build, "ws", "/dev/shm", (5, 3))
    row("a file of 16 KiB and its folder synced, tmpfs", sync_cost("/dev/shm"), "ms")
    row("a file of 16 KiB and its folder synced, disk", sync_cost(build), "ms")


def runner_times(host, build):
    """From the start of the runner's process to its end, for a command that runs /bin/true; and the same for a program
    in its place that does nothing. Medians of 20."""
    libexec = host.folder / "libexec"
    libexec.mkdir()
    (libexec / "nixfleet-worker").symlink_to(build / "worker/nixfleet-worker")
    host.environment["NIXFLEET_LIBEXEC"] = str(libexec)
    marks, text = host.marks, "echo began > {0}; {1}; echo ended > {0}\n"
    host.stub(text.format(marks.path, "/bin/true"), "nothing")
    host.stub(text.format(marks.path, build / "supervisor/runner/nixfleet-runner"), "libexec/nixfleet-runner")
    shutil.copy("/bin/true", host.folder / "ops/noop")
    for _ in range(20):
        subprocess.run([host.folder / "nothing"], check=True)
    until(lambda: len(marks.times.get("ended", [])) == 20)
    nothing = median([end - begin for begin, end in zip(marks.times["began"], marks.times["ended"])])
    marks.times.clear()
    host.start()
    host.ready()
    for number in range(20):
        host.nfctl("run", "noop")
        until(lambda: len(marks.times.get("ended", [])) > number)
        until(lambda: host.status().get("why") != "a command runs")
    return median([end - begin for begin, end in zip(marks.times["began"], marks.times["ended"])]), nothing


def runner(build):
    heading("Runner")
    host = Host(build, 60)
    took, nothing = runner_times(host, build)
    host.close()
    row("added to a command that runs /bin/true", took - nothing, "ms", 5, f"{took:.2f} ms, {nothing:.2f} ms without")
    host = Host(build, 60)
    host.stub(f"echo began > {host.marks.path}; exec sleep 1000\n", "ops/sleeper")
    host.start()
    host.ready()
    host.nfctl("run", "sleeper")
    until(lambda: host.marks.times.get("began"))
    row("runner of a running command, private dirty", smaps(runner_of(host), "Private_Dirty"), "KiB", 300)
    host.nfctl("cancel")
    until(lambda: host.status().get("why") != "a command runs")
    host.close()


# --- Output ---

def flood(build):
    heading("Output")
    host = Host(build, 0.2)
    command = f"yes {LINE} | head -n {LINES}"
    host.stub(f"echo began > {host.marks.path}; {command}; echo ended > {host.marks.path}\n")
    host.start()
    status = host.ready()
    before = smaps(status["worker_pid"], "Private_Dirty")
    # Who follows the command takes the processors from it.
    kinds = {"plain": [], "alone": [], "followed": []}
    for number in range(0, 10, 2):
        start = time.monotonic()
        subprocess.run(["sh", "-c", f"{command} > {host.folder}/plain"], check=True)
        kinds["plain"].append(time.monotonic() - start)
        for at, (kind, words) in enumerate([("alone", []), ("followed", ["--wait"])]):
            until(lambda run=words: host.nfctl("run", "switch", *run).returncode == 0)  # the one before may linger
            ended = until(lambda run=number + at: host.marks.times.get("ended", [])[run:])[0]
            kinds[kind].append((ended - host.marks.times["began"][number + at]) / 1000)
    plain, alone, followed = (median(kinds[kind]) for kind in kinds)
    row("1,000,000 lines of 100 bytes, against a plain file", alone / plain, "x", 1.5, f"{alone:.2f} s, {plain:.2f} s")
    row("  while nfctl follows them", followed / plain, "x", None)
    row("  worker's memory grew by", smaps(status["worker_pid"], "Private_Dirty") - before, "KiB", 256)
    host.close()


def runner_of(host):
    """The pid of the runner that lives, or None."""
    done = subprocess.run(["pgrep", "-P", str(host.agent.pid), "-f", "nixfleet-runner"], capture_output=True, text=True,
                          check=False)
    return int(done.stdout.split()[0]) if done.stdout else None


def line_latency(build):
    """A line is written until its frame is at the dashboard: the stub echoes what it is told."""
    host = Host(build, 5, "ws")
    os.mkfifo(host.folder / "told")
    told = os.open(host.folder / "told", os.O_RDWR | os.O_CLOEXEC)
    host.stub(f"echo began > {host.marks.path}; while read -r word < {host.folder}/told; do echo $word; "
              "[ $word = end ] && exit 0; done\n")
    host.start()
    host.ready()
    host.command("switch")
    until(lambda: host.marks.times.get("began"))
    took = []
    for number in range(40):
        time.sleep(0.03 + 0.005 * (number % 20))
        started = time.monotonic() * 1000
        os.write(told, f"word{number}\n".encode())
        frame = until(lambda: host.requests("output")[number:])[0]
        took.append(frame["ms"] - started)
    os.write(told, b"end\n")
    until(lambda: host.requests("status"))
    row("line written to its frame, ws", median(took), "ms", 20, f"slowest of 40: {max(took):.1f} ms")
    host.close()


def flood_over_websocket(build):
    host = Host(build, 5, "ws", quiet=True)
    host.stub(f"echo began > {host.marks.path}; yes {LINE} | head -n {LINES}; exit 3\n")
    host.start()
    status = host.ready()
    pids = status["pid"], status["worker_pid"]
    before, cpu, of_runner, most = smaps(pids[1], "Private_Dirty"), cpu_ms(*pids), 0, 0
    host.command("switch")
    until(lambda: host.marks.times.get("began"))
    end = time.monotonic() + 120
    while not host.requests("status") and time.monotonic() < end:
        pid = runner_of(host)
        try:
            of_runner = cpu_ms(pid) if pid else of_runner
        except (FileNotFoundError, ProcessLookupError):
            pass
        most = max(most, smaps(pids[1], "Private_Dirty"))
        time.sleep(0.02)
    took = (until(lambda: host.requests("status"))[0]["ms"] - host.marks.times["began"][0]) / 1000
    lines = host.seen()["log"][-1]["lines"]
    row("1,000,000 lines until frames and status are there, ws", took, "s", 2.0, f"{lines / took:,.0f} lines/s")
    row("  lines left out", LINES - lines, "", 0)
    row("  CPU of the agent for it", (cpu_ms(*pids) - cpu + of_runner) / 1000, "s", 2.0)
    row("  worker's memory grew by at most", most - before, "KiB", 256)
    host.close()


def kill_in_flood(build):
    took = []
    host = Host(build, 5, "ws", quiet=True)
    host.stub(f"echo began > {host.marks.path}; exec yes {LINE}\n")
    host.start()
    host.ready()
    for number in range(3):
        host.command("switch")
        until(lambda: len(host.marks.times.get("began", [])) > number)
        time.sleep(1)
        host.call("POST", f"/api/hosts/{host.name}/command", {"command": "kill", "kill_command": "SIGTERM"})
        asked = [entry for entry in host.requests("kill_command") if entry["method"] == "OUT"][-1]["ms"]
        told = until(lambda: host.requests("status")[number:])[0]["ms"]
        left = subprocess.run(["pgrep", "-f", f"^yes {LINE}"], capture_output=True, check=False)
        if left.returncode == 0:
            raise SystemExit("bench: the status came before the tree was gone")
        took.append(told - asked)
    row("kill_command in a flood to tree gone and status, ws", median(took), "ms", 100)
    host.close()


def websocket(build):
    heading("Output over WebSocket")
    line_latency(build)
    flood_over_websocket(build)
    kill_in_flood(build)


# --- Ending and coming back ---

def stop_of(build, what, trap, grace_s, most):
    host = Host(build, 60, NIXFLEET_TIMEOUT_GRACE=str(grace_s))
    host.stub(f"{trap}\ni=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; "
              f"echo began > {host.marks.path}; while :; do wait; done\n")
    took = []
    for number in range(3):
        if not host.agent:
            host.start()
            host.ready()
        host.nfctl("run", "switch")
        until(lambda: len(host.marks.times.get("began", [])) > number)
        time.sleep(0.3)
        start = time.monotonic()
        host.nfctl("cancel")
        until(lambda: host.status().get("why") != "a command runs")
        took.append((time.monotonic() - start) * 1000)
    row(f"stop of a tree of 100 processes that {what}", median(took), "ms", most)
    host.close()


def stops(build):
    heading("Ending a tree")
    stop_of(build, "obey TERM", "", 10, 100)
    stop_of(build, "ignore TERM (grace 1 s)", "trap '' TERM", 1, 1200)


def comebacks(build):
    heading("Coming back")
    host = Host(build, 1)
    shutil.copy("/bin/true", host.folder / "ops/noop")
    host.start()
    host.ready()
    for _ in range(200):
        host.nfctl("run", "noop", "--wait")
    records = len(list((host.folder / "state/runs").glob("*.run")))
    took = []
    for _ in range(5):
        host.stop(signal.SIGKILL)
        known = len(host.requests("register"))
        started = host.start()
        took.append(until(lambda: host.requests("register")[known:])[0]["ms"] - started)
        host.ready()
    row("agent killed -9 and started: registered", median(took), "ms", 100, f"{records} records on disk")
    took = []
    for _ in range(3):
        worker = host.ready()["worker_pid"]
        known = len(host.requests("register"))
        started = time.monotonic() * 1000
        os.kill(worker, signal.SIGKILL)
        took.append(until(lambda: host.requests("register")[known:])[0]["ms"] - started)
        host.stop()
        host.start()
    row("worker killed -9: registered", median(took), "ms", 1300)
    host.close()


PARTS = {part.__name__: part for part in (idle, heartbeats, latency, runner, flood, websocket, stops, comebacks)}


def main(words):
    chosen = []
    while len(words) > 1 and words[0] == "--only" and words[1] in PARTS:
        chosen.append(words[1])
        words = words[2:]
    if len(words) != 1 or words[0].startswith("-"):
        print((__doc__ % ", ".join(PARTS)).strip())
        return 0 if words == ["--help"] else 64
    build = pathlib.Path(words[0]).resolve()
    print(f"measured on {socket.gethostname()} with {os.cpu_count()} cores; medians where a row repeats")
    try:
        for name in chosen or PARTS:
            PARTS[name](build)
    finally:
        Host.close_all()
    print(f"\n{missed} missed")
    return 1 if missed else 0


sys.exit(main(sys.argv[1:]))
