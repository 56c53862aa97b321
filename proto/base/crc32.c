/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/crc32.h"

#include "crc32_table.h"

/* Eight bytes a turn: output is framed at more than a gigabyte a second, so that the checksum never
 * is what slows a command down. */
static uint32_t crc32_eight(uint32_t crc, const uint8_t *at)
{
	uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
				     (uint32_t)at[3] << 24);
	return crc32_table[7][low & 0xff] ^ crc32_table[6][(low >> 8) & 0xff] ^
	       crc32_table[5][(low >> 16) & 0xff] ^ crc32_table[4][low >> 24] ^
	       crc32_table[3][at[4]] ^ crc32_table[2][at[5]] ^ crc32_table[1][at[6]] ^
	       crc32_table[0][at[7]];
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *at = data;
	crc = ~crc;
	for (; size >= 8; size -= 8, at += 8)
		crc = crc32_eight(crc, at);
	for (; size > 0; size--, at++)
		crc = crc >> 8 ^ crc32_table[0][(crc ^ *at) & 0xff];
	return ~crc;
}
