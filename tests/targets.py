#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compiles every source for the systems that this machine is not, as TAP: macOS 13 on arm64 and x86_64, Linux with
musl. Nothing is linked or run.

The compiler and the kernel's headers are those of the Python package ziglang, which is installed into a cache folder
(NIXFLEET_ZIG, by default below the user's cache) when it is missing; the libraries' headers are this machine's.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("NIXFLEET_ZIG") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nixfleet-zig")
# And the endings of the files that are another system's.
TARGETS = {"aarch64-macos.13.0": "_linux", "x86_64-macos.13.0": "_linux", "x86_64-linux-musl": "_macos",
           "aarch64-linux-musl": "_macos"}
HEADERS = ["curl", "event2", "evhttp.h", "msgpack", "msgpack.h", "jansson.h", "jansson_config.h", "openssl", "wslay"]
WARNINGS = ["-std=gnu17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wshadow", "-Wswitch-enum",
            "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wvla", "-Wpointer-arith", "-Wwrite-strings", "-Wundef",
            "-Wformat=2", "-Wno-missing-field-initializers", "-D_GNU_SOURCE", '-DNIXFLEET_VERSION="0"',
            '-DNIXFLEET_SOURCE_COMMIT=""', '-DNIXFLEET_LIBEXEC_DIR="/usr/local/libexec/nixfleet-agent"']


def zig():
    """The environment in which `python3 -m ziglang` works, or None."""
    environment = {**os.environ, "PYTHONPATH": str(CACHE)}
    environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(CACHE / "cache"))
    version = [sys.executable, "-m", "ziglang", "version"]
    if subprocess.run(version, env=environment, capture_output=True, check=False).returncode:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(CACHE), "ziglang"],
                       capture_output=True, check=False)
    good = subprocess.run(version, env=environment, capture_output=True, check=False).returncode == 0
    return environment if good else None


def libraries(folder):
    """Links the libraries' headers into a folder of their own: the rest of /usr/include is another system's."""
    places = [pathlib.Path("/usr/include"), *pathlib.Path("/usr/include").glob("*-linux-gnu*")]
    for name in HEADERS:
        found = [place / name for place in places if (place / name).exists()]
        if not found:
            continue
        if not found[0].is_dir():
            shutil.copy(found[0], folder / name)
            continue
        for part in reversed(found):  # some have their configuration in the architecture's folder
            shutil.copytree(part, folder / name, dirs_exist_ok=True)
    for place in places[1:]:  # a wide header that includes the narrow one
        for path in place.glob("openssl/*.h"):
            (folder / "openssl").mkdir(exist_ok=True)
            shutil.copy(path, folder / "openssl" / path.name)


def sources(foreign):
    for folder in ("proto", "supervisor", "worker"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            if not path.stem.endswith(foreign):
                yield path


def compile_one(environment, folder, target, path):
    output = folder / f"{target}-{str(path.relative_to(ROOT)).replace('/', '-')}.o"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *WARNINGS, f"-I{ROOT}", "-isystem",
               str(folder), "-c", "-o", str(output), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    errors = re.findall(r"^.*error:.*$", done.stderr, re.M)
    return [] if output.exists() and not errors else errors or [f"{path}: {done.stderr[-400:]}"]


def main():
    environment = zig()
    if not environment:
        print("1..0 # SKIP no compiler for other systems can be installed")
        return 0
    failed = 0
    print(f"1..{len(TARGETS)}")
    with tempfile.TemporaryDirectory(prefix="nixfleet-targets-") as name, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = pathlib.Path(name)
        libraries(folder)
        generated = subprocess.run([sys.executable, ROOT / "proto/base/crc32_table.py"], capture_output=True, check=True)
        (folder / "crc32_table.h").write_bytes(generated.stdout)
        for number, (target, foreign) in enumerate(TARGETS.items(), 1):
            results = pool.map(lambda path, to=target: compile_one(environment, folder, to, path), list(sources(foreign)))
            errors = [error for result in results for error in result]
            for error in errors[:40]:
                print("#", error.replace(str(ROOT) + "/", ""))
            failed += bool(errors)
            print(f"{'not ok' if errors else 'ok'} {number} - compiles for {target}")
    return 1 if failed else 0


sys.exit(main())
