#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the sources promise about themselves, as TAP: layout, length, includes, licence lines."""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for folder in ("proto", "supervisor", "worker", "tests") for path in (ROOT / folder).rglob("*.[ch]"))
FUNCTION_LINES_MAX = 70

# Who may include what: the first rule whose folder fits decides. A header of the folder itself is
# always allowed.
INCLUDES = [
    ("proto/base", []),
    ("proto", ["proto/base"]),
    ("worker/core", ["worker/core", "proto"]),
    ("worker", ["worker", "proto"]),
    # What reads the host's configuration, where no agent answers; never the agent's own state.
    ("supervisor/nfctl", ["supervisor/nfctl", "proto", "supervisor/config.h", "supervisor/doctor.h",
                          "supervisor/lock.h", "supervisor/platform.h"]),
    ("supervisor", ["supervisor", "proto"]),
]
# The core is pure: nothing of the system but these.
CORE_SYSTEM = {"stdbool.h", "stddef.h", "stdint.h", "string.h", "assert.h", "inttypes.h"}


def name(path):
    return str(path.relative_to(ROOT))


def layout():
    tool = shutil.which("clang-format")
    if not tool:
        return None
    done = subprocess.run([tool, "--dry-run", "--Werror", *map(str, SOURCES)], capture_output=True, text=True,
                          check=False)
    return sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})


def length():
    tool = shutil.which("ctags")
    listing = tool and subprocess.run(
        [tool, "-x", "--kinds-C=f", "--fields=+ne", "--_xformat=%F %n %N %{end}", *map(str, SOURCES)],
        capture_output=True, text=True, check=False)
    if not listing or listing.returncode:
        return None
    bad = []
    for line in listing.stdout.splitlines():
        file, start, function, end = line.rsplit(" ", 3)
        if end.isdigit() and int(end) - int(start) >= FUNCTION_LINES_MAX:
            bad.append(f"{file}: {function} has {int(end) - int(start) + 1} lines")
    return bad


def includes():
    bad = []
    for path in SOURCES:
        folder = name(path.parent)
        allowed = next((rule for prefix, rule in INCLUDES if (folder + "/").startswith(prefix + "/")), None)
        if allowed is None:
            continue
        for line in path.read_text().splitlines():
            own = re.match(r'#include "([^"]+)"', line)
            system = re.match(r"#include <([^>]+)>", line)
            if own and "/" in own[1] and not own[1].startswith(folder + "/") and not any(
                    own[1].startswith(rule) for rule in allowed):
                bad.append(f"{name(path)} includes {own[1]}")
            if system and folder == "worker/core" and system[1] not in CORE_SYSTEM:
                bad.append(f"{name(path)} includes <{system[1]}>")
    return bad


def licence():
    return [name(path) for path in SOURCES
            if not path.read_text().startswith("/* SPDX-License-Identifier: AGPL-3.0-or-later */\n")]


def platform_conditions():
    """A kernel's own code stands in a file that says so."""
    words = re.compile(r"#\s*(if|ifdef|elif).*\b(__linux__|__APPLE__)\b")
    return [name(path) for path in SOURCES
            if not path.stem.endswith(("_linux", "_macos")) and words.search(path.read_text())]


def left_over():
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    return [name(path) for path in SOURCES if words.search(path.read_text())]


def defined_tests():
    """The tests with a row's number, by the file that defines them: Criterion's, and the simulation's table."""
    found = {}
    for path in SOURCES:
        text = path.read_text()
        names = re.findall(r"^Test\(\s*\w+,\s*(s\d\d_\w+)", text, re.MULTILINE)
        if path.parent.name == "sim":
            names += re.findall(r'^\t\{"(s\d\d_\w+)"', text, re.MULTILINE)
        found.update({test: name(path).removeprefix("tests/") for test in names})
    return found


def rows():
    """tests/README.md lists each fault that must be survived, with all of its tests where they are, and no others."""
    text = (ROOT / "tests/README.md").read_text()
    table = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]*) \|$", text, re.MULTILINE)
    defined, listed, bad = defined_tests(), set(), []
    bad += [f"row {row} is not listed once" for row in range(1, 34) if [int(one[0]) for one in table].count(row) != 1]
    for row, tests, how in table:
        groups = re.findall(r"([\w/]+\.c): ((?:`\w+`(?:, )?)+)", tests)
        other = re.findall(r"`([\w/]+\.py)`", how)
        if not groups and not any((ROOT / "tests" / file).exists() for file in other):
            bad.append(f"row {row} names no test")
        for file, names in groups:
            for test in re.findall(r"`(\w+)`", names):
                listed.add(test)
                if defined.get(test) != file:
                    bad.append(f"row {row}: {file} does not define {test}")
                if int(test[1:3]) != int(row):
                    bad.append(f"row {row} lists {test}")
    return bad + [f"{file}: {test} is in no row" for test, file in sorted(defined.items()) if test not in listed]


CHECKS = [rows, layout, length, includes, licence, platform_conditions, left_over]


def main():
    failed = 0
    print(f"1..{len(CHECKS)}")
    for number, check in enumerate(CHECKS, 1):
        bad = check()
        title = check.__name__.replace("_", " ")
        if bad is None:
            print(f"ok {number} - {title} # SKIP the tool for it is not installed")
            continue
        for line in bad[:20]:
            print(f"# {line}")
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {number} - {title}")
    return 1 if failed else 0


sys.exit(main())
