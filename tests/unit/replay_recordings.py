#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Recordings of real sessions replay; one with a changed event does not, and the action is named.

Usage: replay_recordings.py WORKER RECORDING... Prints TAP.
"""
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

HEAD = struct.Struct(">II")
TURN = b"\x94\x04"  # an array of four that begins with the type number of a turn


def frames(data):
    at = 0
    while at + HEAD.size <= len(data):
        size = HEAD.unpack_from(data, at)[0]
        if not size:
            return
        yield data[at + HEAD.size:at + HEAD.size + size]
        at += HEAD.size + size


def join(payloads):
    return b"".join(HEAD.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads)


def changed(data):
    """The recording with another command in the first answer that hands one out."""
    payloads = list(frames(data))
    for number, payload in enumerate(payloads):
        if payload.startswith(TURN) and b"switch" in payload:
            payloads[number] = payload.replace(b"switch", b"reboot")
            return join(payloads)
    return None


def replay(worker, data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run([worker, "--replay", file.name], capture_output=True, text=True, check=False)


def main():
    worker, *recordings = sys.argv[1:]
    failed = 0
    print(f"1..{2 * len(recordings)}")
    for number, path in enumerate(map(pathlib.Path, recordings)):
        data = path.read_bytes()
        whole = replay(worker, data)
        good = whole.returncode == 0 and "identical" in whole.stdout
        other = changed(data)
        broken = other and replay(worker, other)
        named = broken and broken.returncode == 1 and re.search(
            r"differs at event \d+, action \d+: recorded \w+, now \w+", broken.stdout)
        for ok, what, said in ((good, "replays", whole), (named, "with a changed event does not", broken)):
            number_said = 2 * number + 1 + (what != "replays")
            if not ok:
                print("#", said.stdout.replace("\n", "\n# ") if said else "there is nothing to change in it")
            print(f"{'ok' if ok else 'not ok'} {number_said} - {path.name} {what}")
            failed += not ok
    return 1 if failed else 0


sys.exit(main())
