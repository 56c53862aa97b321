/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The newest OUTPUT_TAIL_BYTES of a flood, each piece with the stream it came from. Memory is taken
 * with the first byte; without any, all is lost and counted.
 */
#pragma once

#include "proto/terms.h"

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

/* Neighbours of the same stream are one piece; with more changes than this the oldest go first. */
#define RING_PIECES_MAX 4096

struct ring_piece {
	enum stream stream;
	uint32_t size;
};

struct ring {
	uint8_t *data;             /* owned */
	struct ring_piece *pieces; /* owned */
	uint64_t end;         /* all bytes that came; modulo its size, where the next one goes */
	uint32_t size;        /* of what is kept */
	uint64_t first, last; /* pieces, modulo RING_PIECES_MAX; last is behind the end */
	uint64_t lost;
};

/* Puts size bytes in and drops as many of the oldest as that takes; how many were lost for it. */
uint64_t ring_put(struct ring *ring, enum stream stream, const void *data, uint32_t size);
/* The oldest bytes, OUTPUT_CHUNK_BYTES_MAX at most, lent until the next call; 0: it is empty. */
uint32_t ring_take(struct ring *ring, enum stream *stream, const uint8_t **data);
void ring_finish(struct ring *ring);
