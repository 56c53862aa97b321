#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""The worker's core calls nothing that could hide an input: no clock, heap, log or system call.

Usage: pure.py NM LIBRARY. Prints TAP.
"""
import re
import subprocess
import sys

# Memory and strings of the C library, texts and checks of the base, and what compilers add.
ALLOWED = re.compile(
    r"^_?(mem(cpy|set|move|cmp|chr)|str(len|cmp)|text_(of|is|copy)|check_failed|__stack_chk_(fail|guard)"
    r"|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|sanitizer|sancov|gcov|llvm)_\w+|__(start|stop)___sancov_\w+|bzero|bcmp)$")


def symbols(tool, option, library):
    done = subprocess.run([tool, option, library], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.strip() and not line.endswith(":")}


def main():
    tool, library = sys.argv[1:]
    foreign = symbols(tool, "-u", library) - symbols(tool, "--defined-only", library)
    bad = sorted(name for name in foreign if not ALLOWED.match(name))
    print("1..1")
    for name in bad:
        print(f"# the core calls {name}")
    print(f"{'not ok' if bad or not foreign else 'ok'} 1 - the core is pure")
    return 1 if bad or not foreign else 0


sys.exit(main())
