#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Adds up meson's test logs: one line per failed or skipped test, then `N passed, N failed, N skipped`.

A TAP test counts by its points, any other by its exit code. Exits 1 when something failed or nothing ran.
"""
import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b[^#]*(#\s*skip\S*\s*(.*))?", re.IGNORECASE)


def points(log):
    """(verdict, text) of each TAP point of one test."""
    for line in (log.get("stdout") or "").splitlines():
        match = POINT.match(line)
        if match:
            verdict = "skipped" if match.group(2) else "failed" if match.group(1) else "passed"
            yield verdict, (match.group(3) or line) if match.group(2) else line


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        for line in open(path, encoding="utf-8", errors="replace"):
            log = json.loads(line)
            found = list(points(log))
            if log["result"] == "SKIP" and not found:
                reason = (log.get("stdout") or "").strip().splitlines() or ["no reason was given"]
                found = [("skipped", reason[-1].removeprefix("skipped: "))]
            elif log["result"] in ("OK", "EXPECTEDFAIL") and not found:
                found = [("passed", "")]
            elif log["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not any(
                    verdict == "failed" for verdict, _ in found):
                found.append(("failed", log["result"].lower()))
            for verdict, text in found:
                count[verdict] += 1
                if verdict == "failed":
                    print(f"failed: {log['name']}: {text}")
                if verdict == "skipped":
                    print(f"skipped: {log['name']}: {text}")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main())
