#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Prints the tables of crc32.c: CRC-32 as in IEEE 802.3, eight slices."""

table = []
for byte in range(256):
    value = byte
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    table.append(value)
slices = [table]
for _ in range(7):
    slices.append([(v >> 8) ^ table[v & 0xFF] for v in slices[-1]])
print("static const uint32_t crc32_table[8][256] = {")
for part in slices:
    print("\t{ " + ", ".join(f"0x{v:08x}u" for v in part) + " },")
print("};")
