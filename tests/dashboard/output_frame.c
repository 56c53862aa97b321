/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/output_frame.h"

#include <string.h>

struct reader {
	const char *at;
	const char *end;
};

static bool take(struct reader *reader, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
		return false;
	reader->at += size;
	return true;
}

/* A string without escapes. */
static bool take_string(struct reader *reader, struct text *text)
{
	if (!take(reader, "\""))
		return false;
	const char *close = memchr(reader->at, '"', (size_t)(reader->end - reader->at));
	if (!close || memchr(reader->at, '\\', (size_t)(close - reader->at)))
		return false;
	*text = (struct text){reader->at, (uint32_t)(close - reader->at)};
	reader->at = close + 1;
	return true;
}

static bool take_field(struct reader *reader, struct output_frame *frame, unsigned *seen)
{
	struct text name, value;
	if (!take_string(reader, &name) || !take(reader, ":"))
		return false;
	if (text_is(name, "is_error")) {
		*seen |= 8;
		frame->is_error = take(reader, "true");
		return frame->is_error || take(reader, "false");
	}
	if (!take_string(reader, &value))
		return false;
	if (text_is(name, "line")) {
		*seen |= 1;
		frame->line = value;
	} else if (text_is(name, "stream")) {
		*seen |= 2;
		frame->stream = value;
		return text_is(value, "stdout") || text_is(value, "stderr");
	} else if (text_is(name, "command")) {
		*seen |= 4;
		frame->command = value;
	}
	return true;
}

bool output_frame_read(const char *text, size_t size, struct output_frame *frame)
{
	struct reader reader = {text, text + size};
	unsigned seen = 0;
	if (size > UINT32_MAX || !take(&reader, "{\"type\":\"output\",\"payload\":{"))
		return false;
	do {
		if (!take_field(&reader, frame, &seen))
			return false;
	} while (take(&reader, ","));
	return seen == 15 && take(&reader, "}}") && reader.at == reader.end;
}
