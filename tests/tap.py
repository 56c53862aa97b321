# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs checks and prints them as TAP. A check returns the list of what is wrong, or skip(WHY)."""


class skip(str):  # pylint: disable=invalid-name
    """Why a check cannot be made on this machine."""


def run(checks):
    """The exit code."""
    failed = 0
    print(f"1..{len(checks)}")
    for number, check in enumerate(checks, 1):
        bad = check()
        title = check.__name__.replace("_", " ")
        if isinstance(bad, skip):
            print(f"ok {number} - {title} # SKIP skipped: {bad}", flush=True)
            continue
        for line in bad:
            print(f"# {line}")
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {number} - {title}", flush=True)
    return 1 if failed else 0
