#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fills a manual page's source with what the tables of the program say.

usage: fill.py SOURCE-FOLDER PAGE.scd > FILLED.scd

A line of its own, indented as it likes, is replaced:
  @legal VARIABLE@   what a value must be, and the default     supervisor/settings.def
  @command NAME@     which dashboards ask for it, its deadline  supervisor/ops.def
  @frames NAME@      types and fields of its frames             proto/NAME.def
  @nfctl commands@   nfctl's, or its options                    supervisor/nfctl/options.c
  @names LISTS@      the numbers that have names                proto/terms.h
  @include FILE@     another source of this folder

and a word within a line: @limit NAME@, a number of proto/base/limits.h.
"""
import pathlib
import re
import sys


def plain(text):
    """Text that scdoc prints as it is."""
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|[\\*\[\]#<>|~`@]", lambda found: "\\" + found[0], text)


def limits(root):
    """Every plain number of the header, and those that are made of others."""
    known = {"UINT64_MAX": 2**64 - 1, "UINT32_MAX": 2**32 - 1, "INT32_MAX": 2**31 - 1}
    text = re.sub(r"/\*.*?\*/", "", (root / "proto/base/limits.h").read_text(), flags=re.DOTALL)
    for name, value in re.findall(r"#define (\w+)\s+(.+)", text):
        value = re.sub(r"(\d)u?ll\b", r"\1", value.strip())
        value = re.sub(r"[A-Z]\w*", lambda found: str(known.get(found[0], found[0])), value)
        if re.fullmatch(r"[\d\s()*+-]+", value):
            known[name] = eval(value)  # pylint: disable=eval-used
    return known


def strings(text):
    """A C string literal, in one piece or several."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def settings(root):
    found = {}
    text = (root / "supervisor/settings.def").read_text()
    for variable, fallback, legal in re.findall(
            r'^SETTING\(\w+, "(\w+)", \w+, \w+, "([^"]*)",\s*((?:"[^"]*"\s*)+)\)$', text, re.MULTILINE):
        found[variable] = (fallback, strings(legal))
    assert len(found) == text.count("\nSETTING("), "a setting is not understood"
    return found


def commands(root):
    """name: (class, {protocols}, minutes), of the rows that can be asked for from outside."""
    found = {}
    rows = re.findall(r'\{ "([a-z-]+)", OP_(\w+), ON_(\w+), MINUTES\((\d+)\)',
                      (root / "supervisor/ops.def").read_text())
    for name, kind, protocols, minutes in rows:
        if kind in ("PROBE", "ACTION"):
            continue
        asked = {"HTTP", "WEBSOCKET"} if protocols == "BOTH" else {protocols}
        found[name] = (kind, found[name][1] | asked if name in found else asked, int(minutes))
    assert found, "no command is understood"
    return found


def legal(root, variable):
    fallback, rule = settings(root)[variable]
    return f"Legal: {plain(rule)}." + (f" Default: *{plain(fallback)}*." if fallback else "")


def command(root, name):
    kind, protocols, minutes = commands(root)[name]
    asked = {1: {"HTTP": "Dashboards over HTTP", "WEBSOCKET": "Dashboards over WebSocket"}.get(min(protocols)),
             2: "All dashboards"}[len(protocols)]
    text = f"{asked} ask for it"
    if kind == "CANCEL":
        return text + "."
    return text + f"; ended after {minutes} minute{'s' if minutes > 1 else ''} (*{timeout(name)}*)."


def timeout(name):
    return "NIXFLEET_TIMEOUT_" + name.upper().replace("-", "_")


def field(kind, name, most, known):
    word = {"UINT": "unsigned", "INT": "integer", "BOOL": "boolean", "TEXT": "text", "BYTES": "bytes"}[kind]
    if kind in ("TEXT", "BYTES"):
        word += f", at most {known[most]} bytes"
    elif kind == "UINT" and known.get(most, 2**64 - 1) < 2**31 - 1:
        word += f", at most {known[most]}"
    return f"*{name}* ({word})"


def frames(root, name):
    """A definition list of the types: number and name, the comment before it, the fields in order."""
    known = limits(root) | terms(root)
    text = (root / f"proto/{name}.def").read_text()
    out = []
    note = ""
    for comment, macro, arguments in re.findall(r"/\*(.*?)\*/|^(TYPE|UINT|INT|BOOL|TEXT|BYTES|END)\((.*?)\)", text,
                                                re.DOTALL | re.MULTILINE):
        parts = [part.strip() for part in arguments.split(",")]
        if comment:
            note = " ".join(re.sub(r"^\s*\* ?", "", line).strip() for line in comment.splitlines()).strip()
            note = "" if "SPDX" in note or not out and note.startswith(("The frames", "The control", "What")) else note
        elif macro == "TYPE":
            out.append([f"*{parts[3]} {parts[1]}*", [note] if note else [], []])
            note = ""
        elif macro != "END":
            if note:
                out[-1][1].append(f"{parts[1]}: {note}")
                note = ""
            out[-1][2].append(field(macro, parts[1], parts[2] if len(parts) > 2 else "", known))
    assert out, f"no frame of {name} is understood"
    lines = []
    for head, notes, fields in out:
        lines.append(head)
        for note in notes:
            lines += ["\t" + plain(note), ""]
        lines.append("\t" + (", ".join(fields) + "." if fields else "No fields."))
        lines.append("")
    return "\n".join(lines).rstrip()


def terms(root):
    return {name: int(number) for name, number in re.findall(
        r"X\((\w+), (\d+), ", (root / "proto/terms.h").read_text())}


def names(root, lists):
    """A bulleted list: what each number of these lists is called."""
    text = (root / "proto/terms.h").read_text()
    lines = []
    for name in lists.split():
        block = re.search(rf"#define {name}\(X\)((?:.*\\\n)*.*)", text)[1]
        entries = [f"{number} {plain(word)}" for number, word in re.findall(rf'X\(\w+, (\d+), "([^"]*)"', block)]
        lines.append(f"- {name.lower().rstrip('s')}: {', '.join(entries)}")
    return "\n".join(lines)


STRING = r'"(?:[^"\\]|\\.)*"'


def rows(text, name):
    """The rows of a C table of that name: strings in one piece, None for NULL, words as they are."""
    block = re.search(rf"\b{name}\[\] = \{{(.*?)^\}};", text, re.DOTALL | re.MULTILINE)[1]
    found = []
    depth = 0
    for token in re.findall(rf"(?:{STRING}\s*)+|'[^']*'|\w+\([^)]*\)|\w+|[{{}}]", block):
        depth += (token == "{") - (token == "}")
        if token == "{" and depth == 1:
            found.append([])
        elif token not in "{}":
            found[-1].append(None if token == "NULL" else strings(token) if token[0] == '"' else token.strip("'"))
    return found


def sentence(text):
    return plain(text[0].upper() + text[1:])


def nfctl_commands(table, options):
    lines = []
    for name, argument, choices, text, codes, *_ in table:
        of_it = [row[0] for row in options if row[4] and name in row[4].split()]
        lines.append(f"*{name}*" + (f" {plain(argument)}" if argument else ""))
        lines.append(f"\t{sentence(text)}." + (f" {argument} is one of: {choices}." if choices else ""))
        lines += [f"\tExit code: {plain(codes)}."] if codes else []
        lines += ["\tOptions: " + ", ".join(f"*{option}*" for option in of_it) + "."] if of_it else []
        lines.append("")
    return "\n".join(lines).rstrip()


def nfctl_options(table):
    lines = []
    for name, letter, argument, text, commands_of_it, *_ in table:
        lines.append((f"*-{letter}*, " if letter != "0" else "") + f"*{name}*" +
                     (f" _{argument}_" if argument else ""))
        of_it = f" ({', '.join(commands_of_it.split())})" if commands_of_it else ""
        lines += [f"\t{sentence(text)}{plain(of_it)}.", ""]
    return "\n".join(lines).rstrip()


def nfctl(root, what):
    text = (root / "supervisor/nfctl/options.c").read_text()
    options = rows(text, "table")
    return nfctl_commands(rows(text, "commands"), options) if what == "commands" else nfctl_options(options)


def fill(root, page):
    """The page's text with every directive replaced."""
    known = limits(root)
    makers = {"legal": legal, "command": command, "frames": frames, "nfctl": nfctl, "names": names,
              "include": lambda _, name: fill(root, page.parent / name).rstrip("\n")}
    out = []
    for line in page.read_text().splitlines():
        found = re.fullmatch(r"(\s*)@(\w+) ([^@]+)@", line)
        if found and found[2] in makers:
            made = makers[found[2]](root, found[3])
            out += [found[1] + part if part else "" for part in made.split("\n")]
            continue
        out.append(re.sub(r"@limit (\w+)@", lambda word: str(known[word[1]]), line))
    return "\n".join(out) + "\n"


def main():
    root, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    sys.stdout.write(fill(root, page))


if __name__ == "__main__":
    main()
