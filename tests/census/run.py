#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The crash-point census: from a command's acceptance to its delivery every system call of the supervisor, its store
children, the worker and the runner is counted, and then the whole is run once for each with that process killed right
there, and for a sample of calls made to fail. The agent is started again as a service manager would.

Usage: tests/census/run.py [--all] [--seconds N] [--scheme http|ws] [--victim NAME] [--only CALL:N[:ERROR]] BUILD-FOLDER
  --all          every point; without it a sample that takes less than a minute
  --seconds N    begin no point later than that
  --scheme       one protocol (both)
  --victim NAME  one of supervisor, worker, runner, store, mark (all)
  --only         one point of that victim, with what happened; needs --scheme and --victim

What must hold: one true outcome at the dashboard or `lost`, never a 0 that was made up; nothing runs twice; a report
twice only over HTTP, once at most, and only where the one who knew of the first was cut off. Prints as its last line
`N crash points, N failures, N lost, N doubled, N made up`, where lost is an accepted command without any outcome.
"""
import argparse
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
sys.dont_write_bytecode = True

from host import Host, until  # noqa: E402
from victim import VICTIMS, Strike, Tracer  # noqa: E402

SAMPLE_S = 30
AT_ONCE = 4
SETTLE_S = 30
# What may fail in a process between acceptance and delivery, and how.
ERRORS = {
    "supervisor": [("socketpair", "EMFILE"), ("clone", "EAGAIN"), ("clone", "ENOMEM"), ("read", "EINTR"),
                   ("sendto", "EINTR"), ("sendto", "ENOMEM"), ("write", "EIO"), ("epoll_wait", "EINTR"),
                   ("wait4", "EINTR")],
    "store": [("fsync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("pwrite64", "EINTR"), ("fsync", "EINTR"),
              ("openat", "EIO"), ("openat", "ENOSPC"), ("openat", "EMFILE"), ("flock", "EINTR")],
    "worker": [("socket", "EMFILE"), ("connect", "EIO"), ("sendto", "EINTR"), ("sendto", "ECONNRESET"),
               ("recvfrom", "EINTR"), ("recvfrom", "ECONNRESET"), ("read", "EINTR"), ("pread64", "EIO"),
               ("openat", "EIO"), ("epoll_wait", "EINTR")],
    "runner": [("openat", "EIO"), ("openat", "ENOMEM"), ("openat", "EMFILE"), ("pwrite64", "EIO"),
               ("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("fsync", "EINTR"), ("mkdir", "EIO"), ("mknodat", "EIO"),
               ("pipe2", "EMFILE"), ("clone3", "EAGAIN"), ("read", "EINTR"), ("read", "EIO"), ("write", "EIO"),
               ("poll", "EINTR"), ("wait4", "EINTR"), ("flock", "EINTR"), ("setsid", "EPERM")],
}
ERRORS["mark"] = ERRORS["store"]
ERROR_CALLS_MAX = 8


class Point:
    """One run of a command with one strike, in a host of its own."""

    def __init__(self, build, scheme, strike, code):
        self.strike = strike
        self.code = code
        self.wrongs = []
        self.host = Host(build, 0.3, scheme, NIXFLEET_RECONNECT_SPREAD="0.1")
        self.is_socket = scheme == "ws"
        self.ran = self.host.folder / "ran"
        pause_s = 0.3 if strike.victim == "mark" else 0.03
        self.host.stub(f"echo begin >> {self.ran} || exit 9; echo a line; sleep {pause_s}; "
                       f"echo end >> {self.ran} || exit 9; exit {code}\n")
        self.tracer = Tracer(self.host, strike)
        self.struck_ms = None
        self.said = ""

    def run(self):
        self.tracer.prepare()
        self.host.start()
        status = self.host.ready()
        if self.strike.victim != "mark":
            self.tracer.arm(status)
        until(self.send)
        if self.strike.victim == "mark":
            until(self.ran.exists)
            self.tracer.arm(status)
        self.settle()
        self.judge()

    def send(self):
        """False where a process died before the command and the host is away."""
        try:
            self.host.command("switch")
        except urllib.error.HTTPError:
            self.keep()
            return False
        return True

    def keep(self):
        """What a service manager does; and the tracer lets go of whoever it struck."""
        if self.struck_ms is None and self.strike.number is not None:
            self.struck_ms = self.tracer.struck_ms()
            if self.struck_ms is not None:
                self.tracer.leave()
        if self.host.agent.poll() is not None:
            self.host.start()

    def row(self):
        return self.host.seen()["log"][-1]

    def records(self):
        return list((self.host.folder / "state/runs").glob("*-switch-*.run"))

    def is_settled(self):
        status = self.host.status()
        busy = [run for run in status.get("runs", []) if run["state"] in ("queued", "starting", "running", "settling")]
        if status.get("link_name") != "up" or busy or status.get("owed") != 0 or status.get("why") == "a command runs":
            return False
        row = self.row()
        return row["state"] == "closed" or (row["state"] == "handed out" and not self.records())

    def settle(self):
        """Until nothing more is to come, as far as the host and the dashboard say."""
        end = time.monotonic() + SETTLE_S
        calm = 0
        while calm < 3 and time.monotonic() < end:
            self.keep()
            calm = calm + 1 if self.is_settled() else 0
            time.sleep(0.05)
        if calm < 3:
            self.wrongs.append("not settled")
        self.keep()
        self.tracer.leave()

    def reports(self):
        return [entry for entry in self.host.requests("status") if entry["method"] in ("POST", "IN")]

    def judge(self):
        row, reports = self.row(), self.reports()
        words = self.ran.read_text().split() if self.ran.exists() else []
        accepted = bool(self.records()) or bool(words)
        comment = row["comment"] or ""
        if words.count("begin") > 1:
            self.wrongs.append("run twice")
        if accepted and row["state"] != "closed":
            self.wrongs.append("lost")
        if row["false_success"]:
            self.judge_compartment(accepted)
        elif row["state"] == "closed":
            self.judge_outcome(row, comment, words)
        self.judge_reports(reports)
        self.judge_rules()
        self.said = (f"{row['state']} {row['status']} '{comment}', {len(reports)} reports, ran {words}, "
                     f"{'accepted' if accepted else 'never accepted'}, struck at {self.struck_ms}")

    def judge_outcome(self, row, comment, words):
        """The true code, or a sentence that says that it is not known; never a made-up one."""
        is_whole = words == ["begin", "end"]
        if row["status"] == "ok":
            if self.code != 0 or not is_whole:
                self.wrongs.append("made up")
        elif self.code == 0 and is_whole and not self.tells_loss(comment):
            self.wrongs.append(f"a wrong outcome: {comment}")
        elif self.code != 0 and not self.tells_loss(comment) and f"exited {self.code}" not in comment:
            self.wrongs.append(f"a wrong outcome: {comment}")

    def judge_compartment(self, accepted):
        """The WebSocket dashboard took a disconnect for the end of a switch: a failure shows in the compartment."""
        system = self.host.seen()["compartments"]["system"]["status"]
        if accepted and self.code != 0 and system != "error":
            self.wrongs.append(f"a failure is not shown, system is {system}")

    def tells_loss(self, comment):
        known = ["died", "lost", "interrupted", "could not", "cannot", "did not"]
        return any(word in comment for word in known) or self.strike.error is not None

    def was_cut(self):
        """Whether somebody died between the command's end and what would have been known of its report's arrival. When
        the dashboard saw the report says less: it may get to it late."""
        return self.struck_ms is not None and self.strike.victim in ("supervisor", "worker") and self.ran.exists() and \
            self.struck_ms >= self.ran.stat().st_mtime_ns / 1e6

    def judge_reports(self, reports):
        if len(reports) > 2 or (len(reports) == 2 and not self.was_cut()):
            self.wrongs.append("doubled")

    def judge_rules(self):
        """What the WebSocket dashboard complains of. Who does not know that a status arrived sends the output again."""
        for rule in self.host.seen()["violations"] if self.is_socket else []:
            if not (self.was_cut() and rule.startswith("output after the status")):
                self.wrongs.append(f"rule: {rule}")

    def close(self):
        self.tracer.leave()
        self.host.living.remove(self.host)
        if self.host.agent:
            self.host.agent.terminate()
            self.host.agent.wait(20)
        self.host.marks.close()
        self.host.dashboard.terminate()
        self.host.dashboard.wait(10)
        shutil.rmtree(self.host.folder, ignore_errors=True)


class Census:
    def __init__(self, build, is_loud):
        self.build = build
        self.is_loud = is_loud
        self.points = self.unreached = 0
        self.failed = []

    def point(self, scheme, strike, code):
        """Runs one; returns it, closed."""
        point = Point(self.build, scheme, strike, code)
        try:
            point.run()
        except (SystemExit, OSError, ValueError, subprocess.SubprocessError) as error:
            point.wrongs.append(f"not judged: {error}")
        finally:
            if point.wrongs and self.is_loud:
                print((point.host.folder / "log").read_text(errors="replace")[-4000:])
            point.close()
        if strike.number is None:
            return point
        self.points += 1
        self.unreached += point.struck_ms is None
        if point.wrongs:
            self.failed.append(point)
        if point.wrongs or self.is_loud:
            verdict = "; ".join(point.wrongs) or "well"
            print(f"# {scheme}, exit {code}, {strike}: {verdict}: {point.said}", flush=True)
        return point

    def count(self, scheme, victim):
        """The system calls of an undisturbed run."""
        point = Point(self.build, scheme, Strike(victim), 7)
        try:
            point.run()
            return point.tracer.calls()
        finally:
            point.close()

    def strikes(self, scheme, victim):
        """Everything that can be done to it."""
        calls = self.count(scheme, victim)
        kills = [Strike(victim, number, call) for call, count in calls.items() for number in range(1, count + 1)]
        fails = [Strike(victim, number, call, error) for call, error in ERRORS[victim]
                 for number in range(1, min(calls.get(call, 0), ERROR_CALLS_MAX) + 1)]
        print(f"# {scheme}, {victim}: {len(kills)} system calls to die at, {len(fails)} to fail at", flush=True)
        return kills + fails

    def verdict(self):
        def having(word):
            return sum(any(wrong.startswith(word) for wrong in point.wrongs) for point in self.failed)

        print(f"# {self.unreached} were not reached before the command was delivered")
        print(f"{self.points} crash points, {len(self.failed)} failures, {having('lost')} lost, "
              f"{having('doubled') + having('run twice')} doubled, {having('made up')} made up")
        return 1 if self.failed or not self.points else 0


def spread(everything):
    """All of them, in an order whose every beginning is spread over the whole."""
    left, place, order = list(everything), 0.0, []
    while left:
        place = (place + 0.6180339887) % 1.0
        order.append(left.pop(int(place * len(left))))
    return order


def run_all(census, everything, end):
    """Each point waits most of the time, so several wait at once. None begins after end."""
    def one(numbered):
        number, (scheme, strike) = numbered
        if time.monotonic() < end:
            census.point(scheme, strike, 7 * (number % 2))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, enumerate(everything)))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--scheme", choices=("http", "ws"))
    parser.add_argument("--victim", choices=VICTIMS)
    parser.add_argument("--only")
    parser.add_argument("build", type=pathlib.Path)
    options = parser.parse_args()
    if not shutil.which("strace"):
        print("skipped: strace is not installed")
        return 77
    census = Census(options.build.resolve(), options.only is not None)
    schemes = [options.scheme] if options.scheme else ["http", "ws"]
    victims = [options.victim] if options.victim else VICTIMS
    try:
        if options.only:
            call, number, *error = options.only.split(":")
            for code in (0, 7):
                census.point(schemes[0], Strike(victims[0], int(number), call, *error), code)
            return census.verdict()
        pairs = [(scheme, victim) for scheme in schemes for victim in victims]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda pair: [(pair[0], strike) for strike in census.strikes(*pair)], pairs)
            everything = [point for points in found for point in points]
        seconds = options.seconds or (86400 if options.all else SAMPLE_S)
        run_all(census, spread(everything), time.monotonic() + seconds)
        return census.verdict()
    finally:
        Host.close_all()


if __name__ == "__main__":
    sys.exit(main())
