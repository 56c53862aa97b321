/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/sink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"

void sink_init(struct sink *sink, int fd)
{
	*sink = (struct sink){.fd = fd};
}

void sink_keep_head(struct sink *sink)
{
	bytes_finish(&sink->head);
	bytes_init(&sink->head, PROBE_OUTPUT_BYTES_MAX);
}

void sink_finish(struct sink *sink)
{
	fd_drop(&sink->fd);
	ring_finish(&sink->tail);
	bytes_finish(&sink->head);
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

/* The reason of a failure stands in the last line of standard error that says something. */
static void note_line(struct sink *sink, const char *data, uint32_t size)
{
	while (line_take(&sink->line, &data, &size))
		memcpy(sink->last_line, sink->line.text, sizeof(sink->last_line));
}

void sink_take(struct sink *sink, uint64_t ms, enum stream stream, const void *data, uint32_t size)
{
	const uint8_t *at = data;
	if (stream == STREAM_STDERR)
		note_line(sink, data, size);
	sink->bytes += size;
	if (stream == STREAM_STDOUT && sink->head.size < sink->head.size_max) {
		uint32_t room = sink->head.size_max - sink->head.size;
		(void)bytes_append(&sink->head, data, size < room ? size : room);
	}
	while (size > 0) {
		uint32_t piece = size < OUTPUT_CHUNK_BYTES_MAX ? size : OUTPUT_CHUNK_BYTES_MAX;
		if (sink->offset + FRAME_BYTES_MAX > OUTPUT_BYTES_MAX)
			sink->dropped += ring_put(&sink->tail, stream, at, piece);
		else
			put_chunk(sink, ms, stream, at, piece);
		at += piece;
		size -= piece;
	}
}

void sink_end_line(struct sink *sink)
{
	if (sink->line.size > 0)
		note_line(sink, "\n", 1);
}

void sink_end(struct sink *sink, uint64_t ms)
{
	enum stream stream;
	const uint8_t *data;
	uint32_t size;
	sink->skipped += sink->tail.lost;
	while ((size = ring_take(&sink->tail, &stream, &data)) > 0)
		put_chunk(sink, ms, stream, data, size);
	say_skipped(sink);
	/* Readers stop at a torn frame and would wait for its end for ever. */
	if (sink->fd >= 0 && ftruncate(sink->fd, (off_t)sink->offset) < 0)
		log_warn("the output file keeps a torn end: %s", strerror(errno));
}
