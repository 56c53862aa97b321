/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* CRC-32 as in IEEE 802.3 and zlib: against torn and garbled frames, not against an attacker. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc is 0 at first, or the result of the piece before. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t size);
