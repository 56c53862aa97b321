/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/output_reader.h"

#include <errno.h>
#include <unistd.h>

#include "proto/frame.h"

void output_reader_init(struct output_reader *reader, int fd, uint64_t offset)
{
	reader->fd = fd;
	reader->offset = offset;
}

enum output_reader_verdict output_reader_next(struct output_reader *reader, struct output *output)
{
	struct frame frame;
	ssize_t got;
	do
		got = pread(reader->fd, reader->data, sizeof(reader->data), (off_t)reader->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return OUTPUT_FAILED;
	switch (frame_parse(reader->data, (size_t)got, &frame)) {
	case FRAME_WHOLE: break;
	case FRAME_SHORT: return OUTPUT_WAITS;
	case FRAME_END:
	case FRAME_TOO_BIG:
	case FRAME_DAMAGED: return OUTPUT_BAD;
	}
	if (output_decode(frame.payload, output) != SCHEMA_GOOD)
		return OUTPUT_BAD;
	reader->offset += frame.bytes;
	return OUTPUT_READ;
}
