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


def rows():
    """tests/README.md lists each fault that must be survived, and names only tests that there are."""
    text = (ROOT / "tests/README.md").read_text()
    listed = {int(row) for row in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.[cp]*") if path.suffix in (".c", ".py"))
    names = set(re.findall(r"`(s\d\d_[a-z0-9_]+)`", text))
    return [f"row {row} is not listed" for row in range(1, 34) if row not in listed] + [
        f"there is no test {test}" for test in sorted(names) if not re.search(rf"\b{test}\b", sources)]


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
