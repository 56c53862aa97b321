/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The frame that everything travels and rests in: u32 length | u32 CRC-32 of the payload | payload,
 * both numbers big-endian. A length of 0 ends a record (what was written in advance is zeros).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

enum frame_verdict {
	FRAME_WHOLE,   /* payload is set */
	FRAME_SHORT,   /* not all there yet; in a file: a torn tail */
	FRAME_END,     /* zeros */
	FRAME_TOO_BIG, /* the length is over FRAME_BYTES_MAX: nothing was allocated */
	FRAME_DAMAGED, /* the checksum differs */
};

struct frame {
	struct text payload; /* lent: points into what was parsed */
	uint32_t bytes;      /* head and payload */
};

/* Looks at the front of data. Only FRAME_WHOLE sets *frame. */
enum frame_verdict frame_parse(const void *data, size_t size, struct frame *frame);

/* Fills the head for a payload of 1 to FRAME_BYTES_MAX bytes. */
void frame_head(uint8_t head[FRAME_HEAD_BYTES], const void *payload, uint32_t size);

const char *frame_verdict_name(enum frame_verdict verdict);
