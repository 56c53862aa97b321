# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is struck and when: strace counts a process's system calls, and kills it or fails it at one of them."""
import collections
import re
import signal
import subprocess

from host import until

# A process is traced alone. A store child is forked for one act, so there the supervisor's children are followed, and
# the calls are those that only a store child or a runner makes: "store" from the command on, which is the child that
# accepts, and "mark" from the moment the command runs, which is the one that marks it delivered.
VICTIMS = ("supervisor", "worker", "runner", "store", "mark")
STORE_CALLS = "fsync,pwrite64,flock,openat"

WRAPPER = """#!/bin/sh
# A runner under strace, once, when it is armed: the process stays the supervisor's own child.
if [ -e {folder}/armed ] && mkdir {folder}/struck 2>/dev/null; then
	exec strace -DDD -ttt -o {folder}/trace {inject} {real} "$@"
fi
exec {real} "$@"
"""


class Strike:
    """One system call of one process: at the N-th of that name it dies, or the call fails with an error."""

    def __init__(self, victim, number=None, call=None, error=None):
        self.victim = victim
        self.number = number
        self.call = call
        self.error = error

    def __str__(self):
        if self.number is None:
            return f"{self.victim}: counted"
        return f"{self.victim}: {self.error or 'killed'} at {self.call} number {self.number}"

    def options(self):
        if self.number is None:
            return []
        how = f"error={self.error}" if self.error else "signal=KILL"
        return ["-e", f"inject={self.call}:{how}:when={self.number}"]


class Tracer:
    """Strikes a process of the host. prepare before the agent starts, arm when it is well, then send the command."""

    def __init__(self, host, strike):
        self.host = host
        self.strike = strike
        self.trace = host.folder / "trace"
        self.process = None

    def prepare(self):
        libexec = self.host.folder / "libexec"
        libexec.mkdir()
        (libexec / "nixfleet-worker").symlink_to(self.host.build / "worker/nixfleet-worker")
        real = self.host.build / "supervisor/runner/nixfleet-runner"
        if self.strike.victim == "runner":
            wrapper = libexec / "nixfleet-runner"
            inject = " ".join(self.strike.options())
            wrapper.write_text(WRAPPER.format(folder=self.host.folder, real=real, inject=inject))
            wrapper.chmod(0o755)
        else:
            (libexec / "nixfleet-runner").symlink_to(real)
        self.host.environment["NIXFLEET_LIBEXEC"] = str(libexec)

    def arm(self, status):
        if self.strike.victim == "runner":
            (self.host.folder / "armed").touch()
            return
        pid = status["worker_pid"] if self.strike.victim == "worker" else status["pid"]
        words = ["-f", "-e", f"trace={STORE_CALLS}"] if self.strike.victim in ("store", "mark") else []
        said = self.host.folder / "strace"
        with open(said, "wb") as stderr:
            self.process = subprocess.Popen(
                ["strace", "-ttt", "-o", self.trace, *words, *self.strike.options(), "-p", str(pid)], stderr=stderr)
        until(lambda: b"attached" in said.read_bytes() or self.process.poll() is not None)

    def text(self):
        return self.trace.read_text(errors="replace") if self.trace.exists() else ""

    def struck_ms(self):
        """When it was struck, on the wall's clock; None: not yet."""
        pattern = r"\(INJECTED\)" if self.strike.error else r"killed by SIGKILL"
        for line in self.text().splitlines():
            found = re.search(r"(\d{9,}\.\d+) .*" + pattern, line)
            if found:
                return float(found[1]) * 1000
        return None

    def calls(self):
        """How often each system call was made, by the process that made it most often: a dictionary."""
        counts = collections.Counter()
        for line in self.text().splitlines():
            found = re.match(r"(?:(\d+) +)?\d{9,}\.\d+ (\w+)\(", line)
            if found:
                counts[found[1], found[2]] += 1
        most = {}
        for (_, name), count in counts.items():
            most[name] = max(count, most.get(name, 0))
        return most

    def leave(self):
        """Lets go of what still lives: a struck process is struck once."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()  # the kernel lets go of what it traced
                self.process.wait(5)
            self.process = None

