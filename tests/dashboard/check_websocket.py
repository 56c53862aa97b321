#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The little dashboard keeps to the WebSocket protocol, as TAP: check_websocket.py PATH-OF-NIXFLEET-DASHBOARD"""
import json
import sys
import tempfile
import time

from board import SHARED, Dashboard, expect, finish
from websocket import BINARY, PING, TEXT, WebSocket, until

RECORD = {"hostname": "Toy", "host_type": "nixos", "agent_version": "0.1.0", "os_version": "12",
          "nixpkgs_version": "25.05", "generation": "abcdef1", "theme_color": "#123456", "heartbeat_interval": 5,
          "location": "home", "device_type": "server", "repo_url": "", "repo_dir": "/x", "source_commit": "",
          "store_path": "", "binary_hash": ""}


def heartbeat(lock="ok", system="ok", **more):
    part = {"message": "", "checked_at": "2026-01-01T00:00:00Z"}
    return {"generation": "abcdef1", "nixpkgs_version": "25.05", "pending_command": None, "command_pid": None,
            "metrics": None, "source_commit": "", "store_path": "", "binary_hash": "", "lock_hash": "",
            "update_status": {"git": {"status": "ok", **part}, "lock": {"status": lock, **part},
                              "system": {"status": system, **part}, "tests": {"status": "unknown", **part}}, **more}


def status(command, code=0, **more):
    return {"status": "error" if code else "ok", "command": command, "exit_code": code, "message": f"{command}: {code}",
            "generation": "abcdef1", **more}


def output(command, line, **more):
    return {"line": line, "stream": "stdout", "command": command, "is_error": False, **more}


class Agent(WebSocket):
    """A connection that has registered."""

    def __init__(self, board, name="Toy", headers=()):
        super().__init__(board.port, SHARED, headers)
        self.board = board
        self.name = name.lower()
        self.send("register", **{**RECORD, "hostname": name})
        self.registered = self.message()

    def host(self):
        return self.board.json("GET", f"/api/hosts/{self.name}")

    def command(self, command, **more):
        return self.board.code("POST", f"/api/hosts/{self.name}/command", {"command": command, **more})

    def told(self, command):
        """Asks for it and waits for it."""
        self.command(command)
        return self.message()

    def row(self):
        self.receipt()
        return self.host()["log"][-1]

    def state(self):
        return self.row()["state"]

    def leave(self):
        self.close()
        until(lambda: not self.host()["online"])

    def fault(self, *effects, **fields):
        body = [{"host": self.name, **fields, **effect} for effect in effects] or {"host": self.name, **fields}
        if self.board.code("POST", "/api/faults", body) != 200:
            expect(f"the fault {body} is taken", False, True)


def upgrading(board):
    expect("no token", WebSocket(board.port, "").code, 401)
    expect("a wrong token", WebSocket(board.port, "wrong").code, 401)
    good = WebSocket(board.port, SHARED)
    expect("the right one", (good.code, good.accepted), (101, True))
    expect("no upgrade", board.code("GET", "/ws"), 400)
    expect("another method", board.code("POST", "/ws", {}), 405)
    good.send("heartbeat", **heartbeat())
    good.send_frame(TEXT, b"}garbage{")
    good.send_frame(BINARY, b"\0\1\2")
    good.receipt()
    expect("frames before register are ignored", board.json("GET", "/api/hosts"), [])
    good.send("register", **RECORD)
    expect("register", good.message(), ("registered", {"host_id": "toy"}))
    first = board.json("GET", "/api/hosts")[0]
    expect("online at once", (first["online"], first["protocol"], first["registrations"], first["violations"]),
           (True, "websocket", 1, []))
    good.close()
    expect("offline at once", until(lambda: not board.json("GET", "/api/hosts")[0]["online"]), True)


def completion(board):
    agent = Agent(board, "Complete")
    expect("a command", agent.told("test"), ("command", {"command": "test"}))
    expect("another one meanwhile", (agent.command("pull"), agent.command("update")), (409, 409))
    agent.send("output", **output("test", "first"))
    agent.send("output", **output("test", "second", stream="stderr", is_error=True))
    row = agent.row()
    expect("its output", (row["output"], row["lines"], row["lines_stderr"], row["lines_red"], row["state"]),
           ("first\nsecond\n", 2, 1, 1, "handed out"))
    agent.send("status", **status("test", 3))
    row = agent.row()
    expect("a failure completes at once", (row["state"], row["status"], row["exit_code"], row["message"]),
           ("closed", "error", 3, "test: 3"))
    agent.told("test")
    agent.send("status", **status("test"))
    expect("exit 0 does not", agent.state(), "waits for a heartbeat")
    agent.send("heartbeat", **heartbeat())
    expect("but with the next heartbeat", (agent.state(), agent.row()["status"]), ("closed", "ok"))
    for lock, wanted in [("outdated", "partial"), ("ok", "ok")]:
        agent.told("pull")
        agent.send("status", **status("pull"))
        agent.send("heartbeat", **heartbeat(lock=lock))
        expect(f"pull with the lock {lock}", agent.row()["status"], wanted)
    agent.told("rollback")
    agent.send("status", **status("rollback"))
    agent.send("heartbeat", **heartbeat(system="outdated"))
    expect("rollback with the system outdated", agent.row()["status"], "partial")
    expect("no rule was broken", agent.host()["violations"], [])
    agent.close()


def switching(board):
    agent = Agent(board, "Switcher")
    agent.told("switch")
    agent.send("status", **status("switch"))
    agent.send("heartbeat", **heartbeat())
    expect("a switch waits for more than a heartbeat", agent.state(), "waits for a reconnect")
    agent.leave()
    agent = Agent(board, "Switcher")
    row = agent.row()
    expect("the reconnect completes it", (row["state"], row["status"], row["false_success"]), ("closed", "ok", False))
    agent.told("switch")
    agent.leave()
    agent = Agent(board, "Switcher")
    row = agent.row()
    expect("a disconnect during a switch is a false success", (row["status"], row["false_success"], row["exit_code"]),
           ("ok", True, None))
    agent.send("status", **status("switch", 4))
    row = agent.row()
    expect("which a late status leaves alone", (row["status"], row["received"]), ("ok", 1))
    agent.told("pull")
    agent.leave()
    agent = Agent(board, "Switcher")
    expect("another command is not tracked after that", (agent.host()["tracked"], agent.state()), (None, "handed out"))
    agent.send("status", **status("pull", 1))
    expect("its late status completes it", agent.row()["exit_code"], 1)
    agent.told("restart")
    agent.leave()
    agent = Agent(board, "Switcher")
    expect("a restart without a status blocks", (agent.state(), agent.command("pull")), ("handed out", 409))
    agent.send("status", **status("restart"))
    agent.send("heartbeat", **heartbeat())
    expect("until it comes", (agent.state(), agent.command("pull")), ("closed", 200))
    expect("no rule was broken", agent.host()["violations"], [])
    agent.close()


def violations(board):
    agent = Agent(board, "Breaker", ["Origin: http://x"])
    seen = []

    def breaks(what, wanted):
        agent.receipt()
        found = agent.host()["violations"]
        expect(what, found[len(seen):], [wanted] if isinstance(wanted, str) else wanted)
        seen[:] = found

    breaks("an Origin header", "an Origin header")
    agent.told("test")
    agent.send("status", **status("test"))
    agent.send("status", **status("test"))
    breaks("a second exit 0 before the heartbeat",
           "recovery: a second exit-0 status (test) before the heartbeat or reconnect")
    agent.send("heartbeat", **heartbeat())
    agent.send("status", **status("test"))
    breaks("a status told twice", "status of test told twice on one connection")
    agent.send("output", **output("test", "late"))
    breaks("output after the status", "output after the status of test")
    expect("which is counted", agent.row()["lines_late"], 1)
    agent.send("output", line="x", stream="stdout", is_error=False)
    breaks("output of no command", "output: no command")
    agent.send("output", **output("switch", "x"))
    breaks("output of a command that nobody sent", "output of switch, which was never asked for")
    agent.send("status", **status("switch", 1))
    breaks("a status of one", "status of switch, which was never asked for")
    agent.send("status", **status("test", 3, status="ok"))
    breaks("ok with a code", ["status ok of test with exit code 3", "status of test told twice on one connection"])
    agent.send("heartbeat", **{**heartbeat(), "metrics": {"cpu": "1"}, "command_pid": "7"})
    breaks("wrong types", ["heartbeat: command_pid has another type", "heartbeat: metrics has another type"])
    agent.send("heartbeat", **heartbeat(lock="fine"))
    breaks("an illegal compartment", "heartbeat: update_status.lock.status is illegal")
    agent.send("operation_progress", progress={"pull": {"current": 5, "total": 4, "status": "in_progress"}})
    breaks("progress past its end", "operation_progress: pull is past its total")
    agent.send("command_rejected", reason="command already running", current_command="x", current_pid=1)
    breaks("a rejection of nothing", "command_rejected while nothing is tracked")
    agent.send_frame(TEXT, b"}{")
    breaks("garbage", "a frame that is no JSON")
    agent.send("odd")
    breaks("an unknown type", "a frame of an unknown type or without a payload")
    agent.send_frame(BINARY, b"\0")
    breaks("a binary frame", "a binary frame")
    expect("ignored frames are counted", agent.host()["counts"]["ignored"], 3)
    agent.close()


def rejecting_and_killing(board):
    agent = Agent(board, "Killer")
    agent.told("test")
    agent.command("pull", force=True)
    expect("force sends a second one", agent.message(), ("command", {"command": "pull"}))
    agent.send("command_rejected", reason="command already running", current_command="test", current_pid=7)
    row = agent.row()
    expect("a rejection marks it", (row["command"], row["status"]), ("pull", "error"))
    expect("the first is still tracked", agent.host()["tracked"], "test")
    expect("kill", agent.told("kill"), ("command", {"command": "kill"}))
    agent.command("kill", kill_command="SIGKILL")
    expect("as older ones do", agent.message(), ("kill_command", {"signal": "SIGKILL", "pid": 0}))
    agent.send("status", **status("test", 143, status="stopped"))
    expect("stopped", [(row["command"], row["status"]) for row in agent.host()["log"]],
           [("test", "stopped"), ("pull", "error")])
    agent.told("kill")
    agent.send("status", **status("kill", 1))
    expect("a kill of nothing has a row", (agent.row()["command"], agent.row()["status"]), ("kill", "error"))
    progress = {"pull": {"current": 2, "total": 4, "status": "in_progress"}}
    agent.send("operation_progress", progress=progress)
    agent.send("test_progress", current=1, total=2, passed=0, running=True, result="")
    agent.receipt()
    expect("progress", (agent.host()["progress"], agent.host()["test_running"]), (progress, True))
    expect("no rule was broken", agent.host()["violations"], [])
    agent.close()


def connecting_twice(board):
    first = Agent(board, "Twin")
    second = Agent(board, "Twin")
    expect("a second connection closes the first with an empty close", first.closing(), 0)
    expect("and speaks for the host", (second.told("pull")[0], second.host()["counts"]["evicted"]), ("command", 1))
    second.send_frame(TEXT, b"x" * (512 * 1024 + 1))
    expect("too long a message", second.closing(), 1009)
    board.code("POST", "/api/hosts/early/command", {"command": "pull", "force": True})
    early = Agent(board, "Early")
    expect("a command waits for a register", early.message(), ("command", {"command": "pull"}))
    early.send_frame(TEXT, b"{}", masked=False)
    expect("an unmasked frame", early.closing(), 1002)


def faults(board):
    agent = Agent(board, "Victim")
    agent.fault(match="now", kind="text_garbage")
    expect("a garbage frame", agent.frame(), (TEXT, b"}this is no JSON{"))
    agent.fault(match="now", kind="binary")
    opcode, data = agent.frame()
    expect("a binary frame", (opcode, len(data)), (BINARY, 512))
    agent.fault(match="now", kind="big")
    expect("a big frame", len(agent.frame()[1]), 600 * 1024)
    agent.fault(match="heartbeat", kind="raw", body="[1]")
    agent.send("heartbeat", **heartbeat())
    expect("a frame of the test's own", agent.frame(), (TEXT, b"[1]"))
    agent.fault(match="now", kind="no_pong")
    agent.send_frame(PING, b"x")
    expect("no pong", agent.silent_for(0.2), True)
    expect("but commands", agent.told("pull")[0], "command")
    agent.fault(match="now", kind="close", code=1012)
    expect("closed with a code", agent.closing(), 1012)
    agent = Agent(board, "Victim")
    agent.fault(match="now", kind="evict")
    expect("evicted", agent.closing(), 0)
    agent = Agent(board, "Victim")
    agent.fault({"kind": "text_garbage"}, {"kind": "cut", "bytes": 5}, match="now")
    got = b""
    while piece := agent.stream.recv(100):
        got += piece
    expect("cut", (len(got), got[:2]), (5, b"\x81\x11"))
    agent = Agent(board, "Victim")
    before = agent.host()["counts"]["heartbeat"]
    agent.fault(match="now", kind="cut_input", bytes=10)
    agent.stream.settimeout(5)
    agent.send("heartbeat", **heartbeat())
    expect("cut while it read", (agent.closing(), agent.host()["counts"]["heartbeat"]), (None, before))
    for kind in ("half_open", "stop_reading"):
        agent = Agent(board, "Victim")
        agent.fault(match="heartbeat", kind=kind)
        agent.send_both(("heartbeat", heartbeat()), ("heartbeat", heartbeat()))
        expect(f"{kind}: nothing is heard", until(lambda: agent.silent_for(0.2)), True)
        agent.command("kill")
        expect(f"{kind}: nothing is read", agent.host()["counts"]["heartbeat"], before)
        expect(f"{kind}: commands", agent.silent_for(0.2), kind == "half_open")
    agent = Agent(board, "Victim")
    agent.fault(match="now", kind="delay", ms=300)
    started = time.monotonic()
    agent.receipt()
    expect("delay", time.monotonic() - started > 0.28, True)
    board.code("POST", "/api/faults", {"match": "upgrade", "kind": "code", "status": 503})
    expect("a refused upgrade", WebSocket(board.port, SHARED).code, 503)
    agent = Agent(board, "Patient")
    expect("the HTTP server's idle limit does not count", agent.silent_for(6), True)
    expect("kinds that do not go together",
           board.code("POST", "/api/faults", [{"match": "any", "kind": "html"}, {"kind": "no_pong"}]), 422)


def plain_output(board):
    """The short way that output takes where nobody logs it, and what does not go that way."""
    agent = Agent(board, "Flood")
    agent.told("test")
    for line in ("plain", "with \" and \\ and \t", "ä € 😀", ""):
        agent.send_text(json.dumps({"type": "output", "payload": output("test", line)}, separators=(",", ":")))
    agent.send_text('{"type":"output","payload":{"is_error":true,"stream":"stderr","line":"red","command":"test"}}')
    for wrong in ('{"type":"output","payload":{"line":"x","stream":"stdout","command":"test"}}',
                  '{"type":"output","payload":{"line":"x","stream":"odd","command":"test","is_error":false}}',
                  '{"type":"output","payload":{"line":"x","stream":"stdout","command":"test","is_error":false}},'):
        agent.send_text(wrong)
    row = agent.row()
    expect("the lines", row["output"], "plain\nwith \" and \\ and \t\nä € 😀\n\nred\nx\nx\n")
    expect("their kinds", (row["lines"], row["lines_stderr"], row["lines_red"]), (7, 1, 1))
    expect("what is wrong with them", agent.host()["violations"],
           ["output: no is_error", "output: stream is illegal: odd", "a frame that is no JSON"])
    expect("all are counted", agent.host()["counts"]["output"], 7)
    agent.send("status", **status("test", 1))
    agent.send_text('{"type":"output","payload":{"line":"x","stream":"stdout","command":"test","is_error":false}}')
    expect("after the status", agent.row()["lines_late"], 1)
    agent.close()


def silence(board):
    agent = Agent(board, "Silent")
    expect("pinged", agent.frame(), (PING, b""))
    agent.answers_pings = False
    expect("closed without traffic", agent.closing(), None)


def main():
    with tempfile.TemporaryDirectory() as folder:
        board = Dashboard(folder)
        try:
            for part in (upgrading, completion, switching, violations, rejecting_and_killing, connecting_twice, faults):
                part(board)
        finally:
            code = board.stop()
        expect("a clean end", code, 0)
        lines = [json.loads(line) for line in board.log.read_text().splitlines()]
        frames = [line for line in lines if line["path"] == "/ws/complete/status"]
        expect("the log has the frames", (frames[0]["method"], frames[0]["body"]["exit_code"]), ("IN", 3))
        expect("also the first", len([line for line in lines if line["path"] == "/ws/Complete/register"]), 1)
        expect("and no token", SHARED in board.log.read_text(), False)
        for part, options in ((plain_output, ["--no-output-log"]), (silence, ["--ping-ms", "200", "--idle-ms", "400"])):
            board = Dashboard(folder, *options)
            try:
                part(board)
            finally:
                expect("a clean end", board.stop(), 0)
    return finish()


sys.exit(main())
