#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The little dashboard keeps to its protocol, as TAP: check.py PATH-OF-NIXFLEET-DASHBOARD"""
import json
import subprocess
import sys
import tempfile
import time

from board import PROGRAM, SHARED, Dashboard, expect, finish

RECORD = {"hostname": "Toy", "host_type": "nixos", "criticality": "high"}


def judging(board):
    expect("health", board.json("GET", "/health", token="")["status"], "healthy")
    expect("no such path", board.code("GET", "/nothing"), 404)
    expect("an illegal id", board.code("POST", "/api/hosts/1toy/register", RECORD), 400)
    for field, value in [("host_type", "bsd"), ("location", "x" * 51), ("device_type", "vm"), ("theme_color", "red"),
                         ("current_generation", "a b"), ("poll_interval", 0), ("poll_interval", "5"),
                         ("agent_version", "1" * 21), ("hostname", "-toy"), ("metrics", [1])]:
        code, text, _ = board.call("POST", "/api/hosts/toy/register", {**RECORD, field: value}, token="wrong")
        expect(f"an illegal {field} comes before a wrong token", (code, field in str(text)), (422, True))
    expect("limits count characters", board.code("POST", "/api/hosts/toy/register", {**RECORD, "location": "ä" * 50},
                                                 token="wrong"), 401)
    expect("no token", board.code("POST", "/api/hosts/toy/register", RECORD, token=""), 401)
    expect("no JSON", board.code("POST", "/api/hosts/toy/register", raw="{"), 422)
    expect("a report of an unknown host", board.code("POST", "/api/hosts/toy/status", {"status": "ok"}), 200)
    expect("nobody is known yet", board.json("GET", "/api/hosts"), [])


def command(board, name, **more):
    return board.code("POST", "/api/hosts/toy/command", {"command": name, **more})


def host(board):
    return board.json("GET", "/api/hosts/toy")


def being_seen_and_commands(board):
    expect("the id in lower case", board.json("POST", "/api/hosts/TOY/register", RECORD)["host_id"], "toy")
    expect("a token of its own", board.token != SHARED, True)
    expect("the shared one is refused then", board.code("POST", "/api/hosts/toy/register", RECORD, token=SHARED), 401)
    expect("never seen: no command", command(board, "pull"), 409)
    second = board.json("POST", "/api/hosts/toy/register", {**RECORD, "criticality": "low"})
    expect("the token comes once", second, {"status": "registered", "host_id": "toy", "command": None})
    expect("criticality stays", host(board)["criticality"], "high")
    expect("seen: a command", (command(board, "pull"), command(board, "switch")), (200, 200))
    expect("the second has taken the place", board.json("GET", "/api/hosts/toy/poll"), {"command": "switch"})
    expect("it is off the queue", board.json("GET", "/api/hosts/toy/poll"), {"command": None})


def reporting(board):
    path = "/api/hosts/toy/status"
    expect("an output too long", board.code("POST", path, {"status": "ok", "output": "x" * 10001}), 422)
    expect("a lone surrogate", board.code("POST", path, raw='{"status":"ok","output":"\\ud800"}'), 500)
    board.call("POST", path, {"status": "error", "output": "the reason\x1b\nmore"})
    row = host(board)["log"][-1]
    expect("the newest row is closed", (row["state"], row["status"], row["output"]),
           ("closed", "error", "the reason\nmore"))
    expect("the reason of an error without one", host(board)["comment"], "the reason")
    board.call("POST", path, {"status": "ok"})
    expect("a comment stays", host(board)["comment"], "the reason")
    command(board, "pull")
    progress = {"current": 3, "total": 3, "passed": 2, "running": False, "result": "2/3 pass, 1 fail"}
    expect("progress", board.code("POST", "/api/hosts/toy/test-progress", progress), 200)
    expect("its end clears the queue", board.json("GET", "/api/hosts/toy/poll"), {"command": None})


def tokens(board):
    old = board.token
    board.call("POST", "/api/hosts/toy/rotate")
    expect("rotated: the own one is refused", board.code("GET", "/api/hosts/toy/poll"), 401)
    expect("and the shared one brings no other", board.json("GET", "/api/hosts/toy/poll", token=SHARED),
           {"command": None})
    expect("deleted", board.code("DELETE", "/api/hosts/toy"), 200)
    expect("a command for the first register", command(board, "switch", force=True), 200)
    first = board.json("POST", "/api/hosts/toy/register", RECORD, token=SHARED)
    expect("which brings both", (first["command"], first["agent_token"] != old), ("switch", True))


def others_pages(board):
    code, _, headers = board.call("PUT", "/api/hosts/toy/command", {})
    expect("a wrong method", (code, headers["Allow"]), (405, "POST"))
    expect("of a path with two", board.call("POST", "/api/hosts/toy")[2]["Allow"], "GET, DELETE")
    expect("and of the protocol", [board.code(method, "/api/hosts/toy/poll") for method in ("POST", "HEAD", "OPTIONS")],
           [405, 405, 405])
    for headers, wanted in [({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
                            ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
                            ({"Sec-Fetch-Site": "same-origin"}, 422), ({}, 422),
                            ({"Origin": f"http://127.0.0.1:{board.port}"}, 422)]:
        expect(f"a command from a page with {headers}",
               board.code("POST", "/api/hosts/toy/command", {}, headers=headers), wanted)


def fault(board, **fields):
    if board.code("POST", "/api/faults", {"match": "poll", **fields}) != 200:
        expect(f"the fault {fields} is taken", False, True)


def faults(board):
    path = "/api/hosts/toy/poll"
    fault(board, kind="drop")
    expect("drop", board.raw(path), b"")
    for size in (1, 40):
        fault(board, kind="cut", bytes=size)
        expect(f"cut after {size}", len(board.raw(path)), size)
    fault(board, kind="delay", ms=200)
    started = time.monotonic()
    expect("delay", (board.code("GET", path), time.monotonic() - started > 0.19), (200, True))
    fault(board, kind="trickle", ms=2)
    expect("trickle", board.raw(path)[-16:], b'{"command":null}')
    fault(board, kind="garbage")
    expect("garbage", board.raw(path)[:4] == b"HTTP", False)
    fault(board, kind="code", status=429, retry_after=7, body="slower")
    code, text, headers = board.call("GET", path)
    expect("code", (code, text, headers["Retry-After"]), (429, b"slower", "7"))
    fault(board, kind="truncated")
    expect("truncated", board.call("GET", path)[1], b'{"comman')
    fault(board, kind="deep")
    expect("deep", board.call("GET", path)[1], b"[" * 100 + b"]" * 100)
    fault(board, kind="types")
    expect("types", board.json("GET", path)["agent_token"], 42)
    fault(board, kind="html")
    expect("html", board.call("GET", path)[1].startswith(b"<!doctype"), True)
    fault(board, kind="huge", bytes=20_000_000)
    expect("huge", len(board.raw(path)) > 20_000_000, True)
    command(board, "pull", force=True)
    fault(board, kind="drop", act=True)
    board.raw(path)
    expect("a dropped answer takes the command with it", board.json("GET", path), {"command": None})
    fault(board, kind="drop", count=9)
    board.call("DELETE", "/api/faults")
    expect("switched off", board.code("GET", path), 200)
    fault(board, kind="drop")
    fault(board, kind="code", status=418)
    expect("one after the other", (board.raw(path), board.code("GET", path)), (b"", 418))
    both = [{"match": "poll", "kind": "code", "status": 503, "body": "x" * 300}, {"kind": "delay", "ms": 200},
            {"kind": "trickle", "ms": 1}, {"kind": "cut", "bytes": 60}]
    board.call("POST", "/api/faults", both)
    started = time.monotonic()
    got = board.raw(path)
    expect("several together", (len(got), got[:12], time.monotonic() - started > 0.25), (60, b"HTTP/1.1 503", True))
    expect("an unknown kind", board.code("POST", "/api/faults", {"match": "any", "kind": "odd"}), 422)


def limits_and_events(board):
    codes = [board.code("POST", "/api/hosts/other/status", {"status": "ok"}, token=SHARED) for _ in range(33)]
    expect("30 reports a minute", (codes.count(200), codes.count(500)), (30, 3))
    expect("not of another path", board.code("GET", "/api/hosts/toy/poll"), 200)
    expect("events", b'data: {"now_ms"' in board.raw("/events", 400), True)
    expect("the page", b"<title>NixFleet</title>" in board.call("GET", "/")[1], True)
    started = time.monotonic()
    board.raw("/health")
    expect("an idle connection is closed after 5 s", 4.5 < time.monotonic() - started < 8, True)


def usage():
    for options, wanted in [(["--help"], 0), (["--odd"], 64), (["odd"], 64), (["--listen", "x"], 64),
                            (["--listen", "127.0.0.1:70000"], 64), (["--log", "/no/such/folder"], 1)]:
        done = subprocess.run([PROGRAM, *options], capture_output=True, check=False, timeout=20)
        expect(" ".join(options), done.returncode, wanted)


def main():
    with tempfile.TemporaryDirectory() as folder:
        board = Dashboard(folder, "--provision", "--rate-limits")
        try:
            for part in (judging, being_seen_and_commands, reporting, tokens, others_pages, faults, limits_and_events):
                part(board)
        finally:
            code = board.stop()
        expect("a clean end", code, 0)
        text = board.log.read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        expect("no token in the log", [token in text for token in (SHARED, board.token)], [False, False])
        expect("the log says who asked", {line["auth"] for line in lines}, {"shared", "own", "none", "bad"})
        expect("its times go up", [line["ms"] for line in lines], sorted(line["ms"] for line in lines))
    usage()
    return finish()


sys.exit(main())
