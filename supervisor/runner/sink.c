/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/sink.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"

void sink_init(struct sink *sink, int fd)
{
	*sink = (struct sink){.fd = fd};
}

void sink_finish(struct sink *sink)
{
	fd_drop(&sink->fd);
	free(sink->tail);
	sink->tail = NULL;
}

/* At an offset, so that a write that stopped half-way is written over by the next. */
static bool write_frame(struct sink *sink, const struct output *output)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	bool done = sink->fd >= 0 && output_encode(output, &bytes) == 0 &&
		    fd_write_at(sink->fd, bytes.data, bytes.size, (off_t)sink->offset) == 0;
	if (done)
		sink->offset += bytes.size;
	bytes_finish(&bytes);
	return done;
}

static bool say_skipped(struct sink *sink)
{
	struct output output = {.type = OUTPUT_SKIPPED, .skipped = {.bytes = sink->skipped}};
	if (sink->skipped > 0 && !write_frame(sink, &output))
		return false;
	sink->skipped = 0;
	return true;
}

static void put_chunk(
	struct sink *sink, uint64_t ms, enum stream stream, const void *data, uint32_t size)
{
	struct output output = {
		.type = OUTPUT_CHUNK, .chunk = {.ms = ms, .stream = stream, .bytes = {data, size}}};
	if (say_skipped(sink) && write_frame(sink, &output))
		return;
	sink->dropped += size;
	sink->skipped += size;
}

/* Which stream the tail's bytes came from is not kept: it is the end of a flood. */
static void put_tail(struct sink *sink, const uint8_t *data, uint32_t size)
{
	if (!sink->tail)
		sink->tail = malloc(OUTPUT_TAIL_BYTES);
	for (uint32_t done = 0; done < size && sink->tail;) {
		uint32_t at = (uint32_t)(sink->tail_bytes % OUTPUT_TAIL_BYTES);
		uint32_t piece = OUTPUT_TAIL_BYTES - at < size - done ? OUTPUT_TAIL_BYTES - at
								      : size - done;
		memcpy(sink->tail + at, data + done, piece);
		sink->tail_bytes += piece;
		done += piece;
	}
	if (!sink->tail)
		sink->dropped += size;
}

/* The reason of a failure stands in the last line of standard error that says something. */
static void note_line(struct sink *sink, const char *data, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		char byte = data[i];
		if (byte != '\n' && byte != '\r') {
			if (sink->line_size < sizeof(sink->line) - 1 && (unsigned char)byte >= 0x20)
				sink->line[sink->line_size++] = byte;
			continue;
		}
		sink->line[sink->line_size] = '\0';
		if (sink->line[strspn(sink->line, " ")] != '\0')
			memcpy(sink->last_line, sink->line, sink->line_size + 1);
		sink->line_size = 0;
	}
}

void sink_take(struct sink *sink, uint64_t ms, enum stream stream, const void *data, uint32_t size)
{
	const uint8_t *at = data;
	if (stream == STREAM_STDERR)
		note_line(sink, data, size);
	sink->bytes += size;
	while (size > 0) {
		uint32_t piece = size < OUTPUT_CHUNK_BYTES_MAX ? size : OUTPUT_CHUNK_BYTES_MAX;
		if (sink->offset + FRAME_BYTES_MAX > OUTPUT_BYTES_MAX)
			put_tail(sink, at, piece);
		else
			put_chunk(sink, ms, stream, at, piece);
		at += piece;
		size -= piece;
	}
}

void sink_end_line(struct sink *sink)
{
	if (sink->line_size > 0)
		note_line(sink, "\n", 1);
}

void sink_end(struct sink *sink, uint64_t ms)
{
	uint64_t kept = sink->tail_bytes < OUTPUT_TAIL_BYTES ? sink->tail_bytes : OUTPUT_TAIL_BYTES;
	sink->skipped += sink->tail_bytes - kept;
	sink->dropped += sink->tail_bytes - kept;
	for (uint64_t at = sink->tail_bytes - kept; at < sink->tail_bytes;) {
		uint64_t from = at % OUTPUT_TAIL_BYTES;
		uint64_t size = OUTPUT_TAIL_BYTES - from;
		size = size < sink->tail_bytes - at ? size : sink->tail_bytes - at;
		size = size < OUTPUT_CHUNK_BYTES_MAX ? size : OUTPUT_CHUNK_BYTES_MAX;
		put_chunk(sink, ms, STREAM_STDOUT, sink->tail + from, (uint32_t)size);
		at += size;
	}
	say_skipped(sink);
}
