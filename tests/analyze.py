#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs clang's static analyzer over every source of a build, as TAP: a finding is a failure.

Usage: analyze.py BUILD-FOLDER
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("proto/", "supervisor/", "worker/")


def analyze(clang, entry):
    words = shlex.split(entry["command"])
    keep = [word for word in words if word.startswith(("-I", "-D", "-std=", "-isystem"))]
    done = subprocess.run(
        [clang, "--analyze", "-Xclang", "-analyzer-output=text", "-Xclang", "-analyzer-config", "-Xclang",
         "report-in-main-source-file=true", *keep, "-o", "/dev/null", entry["file"]],
        cwd=entry["directory"], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if " warning: " in line or " error: " in line]


def main():
    clang = shutil.which("clang")
    if not clang:
        print("1..0 # SKIP clang is not installed")
        return 0
    build = pathlib.Path(sys.argv[1])
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.is_relative_to(ROOT) and str(path.relative_to(ROOT)).startswith(FOLDERS):
            entries[path] = entry
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = [line for lines in pool.map(lambda entry: analyze(clang, entry), entries.values())
                    for line in lines]
    print("1..1")
    for line in findings:
        print("#", line)
    good = entries and not findings
    print(f"{'ok' if good else 'not ok'} 1 - the analyzer finds nothing in {len(entries)} sources")
    return 0 if good else 1


sys.exit(main())
