#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the manual pages and the README say against what the programs are, as TAP.

usage: check.py BUILD-FOLDER
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(ROOT / "etc/man"), str(ROOT / "tests")]
import fill  # noqa: E402 pylint: disable=wrong-import-position
import tap  # noqa: E402 pylint: disable=wrong-import-position

PAGES = {page: ROOT / f"etc/man/{page}.scd" for page in (
    "nixfleet-agent.8", "nixfleet-agent.conf.5", "nfctl.1", "nixfleet-agent-protocol.7")}
PROGRAMS = {
    "supervisor/nixfleet-agent": "nixfleet-agent.8",
    "supervisor/nfctl/nfctl": "nfctl.1",
    "worker/nixfleet-worker": "nixfleet-agent.8",
}
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def page(name):
    """Its source with everything filled in."""
    return fill.fill(ROOT, PAGES[name])


def section(text, title):
    found = re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def heads(text):
    """The names that a definition list explains."""
    return set(re.findall(r"\*([^*]+)\*", "\n".join(re.findall(r"^\*.*$", text, re.MULTILINE))))


def help_of(program):
    return subprocess.run([BUILD / program, "--help"], capture_output=True, text=True, check=True).stdout


def readme():
    return (ROOT / "README.md").read_text()


def options():
    bad = []
    for program, name in PROGRAMS.items():
        known = set(OPTION.findall("\n".join(re.findall(r"^ +(-.*)", help_of(program), re.MULTILINE))))
        if not known:
            bad.append(f"{program} --help shows no option")
        explained = heads(section(page(name), "OPTIONS"))
        bad += [f"{name} does not explain {program} {option}" for option in sorted(known - explained)]
    for name in set(PROGRAMS.values()):
        shown = "\n".join(help_of(program) for program in PROGRAMS if PROGRAMS[program] == name)
        bad += [f"{name} explains {option}, which no program has"
                for option in sorted(heads(section(page(name), "OPTIONS")))
                if option.startswith("-") and option not in OPTION.findall(shown)]
    return bad


def subcommands():
    """nfctl's, between the help's first and second empty line after its sentence."""
    listed = set(re.findall(r"^  ([a-z]+)\b", help_of("supervisor/nfctl/nfctl"), re.MULTILINE))
    explained = heads(section(page("nfctl.1"), "COMMANDS"))
    return [f"nfctl.1 does not explain {name}" for name in sorted(listed - explained)] + [
        f"nfctl.1 explains {name}, which there is not" for name in sorted(explained - listed)]


def variables():
    known = set(fill.settings(ROOT))
    text = page("nixfleet-agent.conf.5")
    explained = {name for name in heads(text) if re.fullmatch("NIXFLEET_[A-Z_]+", name)}
    table = set(re.findall(r"NIXFLEET_[A-Z_]+", "\n".join(re.findall(r"^\| (.*?) \|", readme(), re.MULTILINE))))
    bad = [f"{place} does not explain {name}" for place, has in
           (("nixfleet-agent.conf.5", explained), ("README.md", table)) for name in sorted(known - has)]
    bad += [f"nixfleet-agent.conf.5 does not say what {name} must be" for name in sorted(known)
            if fill.legal(ROOT, name) not in text]
    return bad + [f"{name} is explained and not in settings.def" for name in sorted((explained | table) - known)
                  if not name.startswith("NIXFLEET_TIMEOUT_")]


def commands():
    known = set(fill.commands(ROOT))
    text = section(page("nixfleet-agent.8"), "COMMANDS")
    explained = heads(text)
    return [f"nixfleet-agent.8 does not explain {name}" for name in sorted(known - explained)] + [
        f"nixfleet-agent.8 explains {name}, which is in no row" for name in sorted(explained - known)] + [
        f"nixfleet-agent.8 does not say how long {name} may take" for name in sorted(known)
        if fill.command(ROOT, name) not in text]


def enum_values(path, prefix):
    return {int(value) for value in re.findall(rf"\b{prefix}_\w+ = (\d+)", (ROOT / path).read_text())}


def exit_codes():
    """Those that main.c and options.h name, those of --help, and those of the dashboards' "restart me"."""
    own = enum_values("supervisor/main.c", "EXIT") | {101}
    said = set(map(int, re.findall(r"(?:codes:|·)\s*(\d+)", help_of("supervisor/nixfleet-agent"))))
    line = re.search(r"^Exit codes: (.*?)\n\n", readme(), re.DOTALL | re.MULTILINE)
    bad = [] if own == said else [f"--help lists {sorted(said)}, the program has {sorted(own)}"]
    if not line or set(map(int, re.findall(r"(?:^|· )(\d+)", line[1].replace("\n", " ")))) != own:
        bad.append("the README's line of exit codes is another one")
    for name, codes, more in (("nixfleet-agent.8", own, {1}), ("nfctl.1", enum_values(
            "supervisor/nfctl/options.h", "NFCTL"), set())):
        listed = {int(code) for code in heads(section(page(name), "EXIT STATUS")) if code.isdigit()}
        if listed != codes | more:
            bad.append(f"{name} lists {sorted(listed)}, the program has {sorted(codes | more)}")
    return bad


def rendering():
    """scdoc takes each page, and mandoc finds nothing worse than scdoc's style."""
    if not shutil.which("scdoc") or not shutil.which("mandoc"):
        return tap.skip("scdoc or mandoc is not installed")
    bad = []
    for name in PAGES:
        made = subprocess.run(["scdoc"], input=page(name), capture_output=True, text=True, check=False)
        if made.returncode:
            bad.append(f"{name}: {made.stderr.strip()}")
            continue
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "error"], input=made.stdout, capture_output=True,
                              text=True, check=False)
        bad += [f"{name}: {line}" for line in done.stdout.splitlines()]
    return bad


def documents():
    return {str(path.relative_to(ROOT)): path.read_text()
            for path in [ROOT / "README.md", *sorted((ROOT / "etc").rglob("*.md"))]}


def links():
    """Every file that a document links to is there."""
    bad = []
    for name, text in documents().items():
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                bad.append(f"{name} links to {target}, which there is not")
    return bad


def commands_in_documents():
    """Each nfctl command that a document shows is one."""
    known = set(re.findall(r"^  ([a-z]+)\b", help_of("supervisor/nfctl/nfctl"), re.MULTILINE))
    return [f"{name}: there is no nfctl {word}" for name, text in documents().items()
            for word in sorted(set(re.findall(r"(?:`|^|= )nfctl ([a-z]+)", text, re.MULTILINE)) - known)]


def failures():
    """Every fault that is tested is told to people."""
    told = set()
    for numbers in re.findall(r"^\| ([\d, ]+) \|", (ROOT / "etc/doc/failures.md").read_text(), re.MULTILINE):
        told |= set(map(int, numbers.split(",")))
    tested = set(map(int, re.findall(r"^\| (\d+) \|", (ROOT / "tests/README.md").read_text(), re.MULTILINE)))
    return [f"failures.md does not tell of {row}" for row in sorted(tested - told)] or (
        [] if tested else ["tests/README.md has no rows"])


def example():
    """Everything in the example is legal when it is turned on."""
    with tempfile.TemporaryDirectory() as folder:
        token = pathlib.Path(folder, "token")
        token.write_text("secret\n")
        text = re.sub(r"^#(?=NIXFLEET_)", "", (ROOT / "etc/agent.conf").read_text(), flags=re.MULTILINE)
        lines = [f"NIXFLEET_TOKEN_FILE={token}" if line.startswith("NIXFLEET_TOKEN_FILE") else line
                 for line in text.splitlines()] + [f"NIXFLEET_STATE_DIR={folder}/state"]
        config = pathlib.Path(folder, "agent.conf")
        config.write_text("\n".join(lines) + "\n")
        done = subprocess.run([BUILD / "supervisor/nixfleet-agent", "--config", config, "--check"],
                              capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": folder})
    known = set(fill.settings(ROOT))
    used = set(re.findall(r"^(\w+)=", text, re.MULTILINE))
    bad = [f"etc/agent.conf sets {name}, which is no setting" for name in sorted(used - known)]
    return bad if done.returncode in (0, 1) else bad + [done.stderr.strip()]


CHECKS = [options, subcommands, variables, commands, exit_codes, rendering, links, commands_in_documents,
          failures, example]


sys.exit(tap.run(CHECKS))
