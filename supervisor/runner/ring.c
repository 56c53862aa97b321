/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/ring.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

static struct ring_piece *piece_at(struct ring *ring, uint64_t index)
{
	return &ring->pieces[index % RING_PIECES_MAX];
}

static void drop_front(struct ring *ring, uint32_t size)
{
	struct ring_piece *piece = piece_at(ring, ring->first);
	check(size <= piece->size);
	piece->size -= size;
	ring->size -= size;
	if (piece->size == 0)
		ring->first++;
}

/* Makes room for size bytes and a piece more; what that cost. */
static uint64_t make_room(struct ring *ring, uint32_t size)
{
	uint64_t lost = 0;
	while (ring->size + size > OUTPUT_TAIL_BYTES ||
		ring->last - ring->first == RING_PIECES_MAX) {
		uint32_t most = piece_at(ring, ring->first)->size;
		uint32_t over = ring->size + size > OUTPUT_TAIL_BYTES
					? ring->size + size - OUTPUT_TAIL_BYTES
					: most;
		uint32_t cut = over < most ? over : most;
		drop_front(ring, cut);
		lost += cut;
	}
	return lost;
}

uint64_t ring_put(struct ring *ring, enum stream stream, const void *data, uint32_t size)
{
	const uint8_t *from = data;
	check(size <= OUTPUT_TAIL_BYTES);
	if (!ring->data)
		ring->data = malloc(OUTPUT_TAIL_BYTES);
	if (!ring->pieces)
		ring->pieces = calloc(RING_PIECES_MAX, sizeof(*ring->pieces));
	if (!ring->data || !ring->pieces || size == 0) {
		ring->lost += size;
		return size;
	}
	uint64_t lost = make_room(ring, size);
	if (ring->last == ring->first || piece_at(ring, ring->last - 1)->stream != stream)
		*piece_at(ring, ring->last++) = (struct ring_piece){.stream = stream};
	piece_at(ring, ring->last - 1)->size += size;
	uint32_t at = (uint32_t)(ring->end % OUTPUT_TAIL_BYTES);
	uint32_t piece = OUTPUT_TAIL_BYTES - at < size ? OUTPUT_TAIL_BYTES - at : size;
	memcpy(ring->data + at, from, piece);
	memcpy(ring->data, from + piece, size - piece);
	ring->end += size;
	ring->size += size;
	ring->lost += lost;
	return lost;
}

uint32_t ring_take(struct ring *ring, enum stream *stream, const uint8_t **data)
{
	if (ring->size == 0)
		return 0;
	const struct ring_piece *piece = piece_at(ring, ring->first);
	uint32_t at = (uint32_t)((ring->end - ring->size) % OUTPUT_TAIL_BYTES);
	uint32_t size = piece->size;
	if (size > OUTPUT_TAIL_BYTES - at)
		size = OUTPUT_TAIL_BYTES - at;
	if (size > OUTPUT_CHUNK_BYTES_MAX)
		size = OUTPUT_CHUNK_BYTES_MAX;
	*stream = piece->stream;
	*data = ring->data + at;
	drop_front(ring, size);
	return size;
}

void ring_finish(struct ring *ring)
{
	free(ring->data);
	free(ring->pieces);
	*ring = (struct ring){0};
}
