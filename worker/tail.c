/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/frame.h"
#include "proto/output.h"
#include "worker/cleaner.h"

/* Read from the end: enough for the usual output at first, then what holds a screenful of colours.
 */
#define TAIL_FIRST_BYTES (64 * 1024)
#define TAIL_MOST_BYTES  (512 * 1024)

static const char left_out[] = "[earlier output left out]\n";

static_assert(
	TAIL_FIRST_BYTES > 2 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES), "a whole frame is in it");

/* Where the first whole frame begins. */
static size_t find_frame(const uint8_t *data, size_t size)
{
	struct frame frame;
	struct output value;
	for (size_t at = 0; at + FRAME_HEAD_BYTES < size; at++) {
		/* A length over FRAME_BYTES_MAX costs nothing; a checksum is looked at only where
		 * an array of ours begins. */
		uint8_t first = data[at + FRAME_HEAD_BYTES];
		if (data[at] != 0 || data[at + 1] != 0 || first < 0x92 || first > 0x94)
			continue;
		if (frame_parse(data + at, size - at, &frame) == FRAME_WHOLE &&
			output_decode(frame.payload, &value) == SCHEMA_GOOD)
			return at;
	}
	return size;
}

uint64_t tail_find(int fd, uint64_t offset)
{
	uint8_t *data = malloc(TAIL_FIRST_BYTES);
	ssize_t have = data ? fd_read_at(fd, data, TAIL_FIRST_BYTES, (off_t)offset) : -1;
	size_t at = have > 0 ? find_frame(data, (size_t)have) : 0;
	free(data);
	return have > 0 && at < (size_t)have ? offset + at : offset;
}

static void clean_frames(const uint8_t *data, size_t size, struct cleaner *cleaner)
{
	struct frame frame;
	struct output value;
	struct bytes note;
	size_t at = 0;
	bytes_init(&note, SHORT_TEXT_BYTES_MAX);
	while (at < size && frame_parse(data + at, size - at, &frame) == FRAME_WHOLE) {
		at += frame.bytes;
		if (output_decode(frame.payload, &value) != SCHEMA_GOOD)
			continue;
		switch (value.type) {
		case OUTPUT_CHUNK:
			cleaner_feed(cleaner, value.chunk.stream, value.chunk.bytes);
			break;
		case OUTPUT_SKIPPED:
			bytes_clear(&note);
			bytes_printf(&note, "\n[%llu bytes of output are missing here]\n",
				(unsigned long long)value.skipped.bytes);
			cleaner_feed(cleaner, 0, (struct text){(char *)note.data, note.size});
			break;
		}
	}
	bytes_finish(&note);
}

/* The newest characters, from a line's beginning where something is left out. */
static int append_end(const struct bytes *text, bool is_cut, uint32_t chars_max, struct bytes *to)
{
	const char *data = (const char *)text->data;
	uint32_t size = text->size;
	if (!is_cut && size <= chars_max)
		return bytes_append(to, data, size);
	check(chars_max > sizeof(left_out));
	uint32_t room = chars_max - (uint32_t)(sizeof(left_out) - 1);
	if (size > room) {
		data += size - room;
		size = room;
	}
	const char *line = size > 0 ? memchr(data, '\n', size) : NULL;
	if (line && (uint32_t)(line + 1 - data) < size) {
		size -= (uint32_t)(line + 1 - data);
		data = line + 1;
	}
	if (bytes_append_text(to, left_out) < 0)
		return -1;
	return bytes_append(to, data, size);
}

static int read_window(int fd, off_t file_bytes, size_t window, uint32_t chars_max,
	struct bytes *text, bool *is_enough)
{
	struct cleaner cleaner;
	size_t size = (off_t)window < file_bytes ? window : (size_t)file_bytes;
	uint8_t *data = malloc(size ? size : 1);
	if (!data)
		return -1;
	ssize_t have = fd_read_at(fd, data, size, file_bytes - (off_t)size);
	bool is_whole = (off_t)size == file_bytes;
	if (have >= 0) {
		size_t at = is_whole ? 0 : find_frame(data, (size_t)have);
		bytes_clear(text);
		cleaner_init(&cleaner, text, false);
		clean_frames(data + at, (size_t)have - at, &cleaner);
		*is_enough = is_whole || text->size >= 2 * chars_max;
	}
	free(data);
	return have < 0 ? -1 : 0;
}

int tail_read(int fd, uint32_t chars_max, struct bytes *to)
{
	struct stat stat;
	struct bytes text;
	bool is_enough = false;
	int done = 0;
	if (fstat(fd, &stat) < 0)
		return -1;
	bytes_init(&text, 2 * TAIL_MOST_BYTES);
	size_t window = TAIL_FIRST_BYTES;
	for (; done == 0 && !is_enough && window <= TAIL_MOST_BYTES; window *= 2)
		done = read_window(fd, stat.st_size, window, chars_max, &text, &is_enough);
	if (done == 0)
		done = append_end(&text, (off_t)(window / 2) < stat.st_size, chars_max, to);
	int kept = errno;
	bytes_finish(&text);
	errno = kept;
	return done;
}
