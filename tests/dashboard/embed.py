# SPDX-License-Identifier: AGPL-3.0-or-later
"""Prints a file as a C array that ends with a zero byte: embed.py FILE NAME"""
import sys

with open(sys.argv[1], "rb") as source:
    content = source.read() + b"\0"
print("/* SPDX-License-Identifier: AGPL-3.0-or-later */")
print("#pragma once")
print(f"static const unsigned char {sys.argv[2]}[] = {{")
for start in range(0, len(content), 16):
    print("\t" + "".join(f"{byte}," for byte in content[start:start + 16]))
print("};")
