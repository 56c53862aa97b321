/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/cleaner.h"

#include <string.h>

#include "proto/base/check.h"

#define TAB_COLUMNS 8

static const struct {
	uint32_t point;
	const char *ascii;
} likenesses[] = {
	{0x00a0, " "},
	{0x2010, "-"},
	{0x2011, "-"},
	{0x2013, "-"},
	{0x2014, "-"},
	{0x2018, "'"},
	{0x2019, "'"},
	{0x201c, "\""},
	{0x201d, "\""},
	{0x2022, "*"},
	{0x2026, "..."},
	{0x2190, "<-"},
	{0x2192, "->"},
};

void cleaner_init(struct cleaner *cleaner, struct bytes *to, bool keep_utf8)
{
	*cleaner = (struct cleaner){.to = to, .keep_utf8 = keep_utf8};
}

static bool put(struct cleaner *cleaner, const char *data, uint32_t size)
{
	struct bytes *to = cleaner->to;
	if (size > to->size_max - to->size) {
		uint32_t half = to->size / 2 + 1;
		bytes_drop(to, half < to->size ? half : to->size);
		cleaner->line = cleaner->line > half ? cleaner->line - half : 0;
	}
	return bytes_append(to, data, size) == 0;
}

static bool put_point(struct cleaner *cleaner, const struct cleaner_stream *stream)
{
	uint32_t point = stream->point;
	if (cleaner->keep_utf8) {
		char data[4];
		static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
		for (uint32_t i = stream->length; i > 1; i--, point >>= 6)
			data[i - 1] = (char)(0x80 | (point & 0x3f));
		data[0] = (char)(heads[stream->length] | point);
		return put(cleaner, data, stream->length);
	}
	for (uint32_t i = 0; i < sizeof(likenesses) / sizeof(likenesses[0]); i++) {
		if (likenesses[i].point == point)
			return put(cleaner, likenesses[i].ascii,
				(uint32_t)strlen(likenesses[i].ascii));
	}
	return put(cleaner, "?", 1);
}

static bool put_tab(struct cleaner *cleaner)
{
	static const char spaces[TAB_COLUMNS + 1] = "        ";
	uint32_t column = cleaner->to->size - cleaner->line;
	return put(cleaner, spaces, TAB_COLUMNS - column % TAB_COLUMNS);
}

static bool put_line_end(struct cleaner *cleaner)
{
	bool done = put(cleaner, "\n", 1);
	cleaner->line = cleaner->to->size;
	return done;
}

/* Whether point may not be written with that many bytes, or is no character at all. */
static bool is_no_character(const struct cleaner_stream *stream)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t point = stream->point;
	return point < least[stream->length] || point > 0x10ffff ||
	       (point >= 0xd800 && point <= 0xdfff);
}

/* The control characters above ASCII open the same sequences as escape and a letter. */
static enum cleaner_state after_control(uint32_t point)
{
	switch (point) {
	case 0x9b: return CLEANER_CSI;
	case 0x90:
	case 0x98:
	case 0x9d:
	case 0x9e:
	case 0x9f: return CLEANER_STRING;
	}
	return CLEANER_TEXT;
}

static bool begin_utf8(struct cleaner *cleaner, struct cleaner_stream *stream, uint8_t byte)
{
	if (byte >= 0xc2 && byte <= 0xdf)
		*stream = (struct cleaner_stream){CLEANER_UTF8, false, 1, 2, byte & 0x1f};
	else if (byte >= 0xe0 && byte <= 0xef)
		*stream = (struct cleaner_stream){CLEANER_UTF8, false, 2, 3, byte & 0x0f};
	else if (byte >= 0xf0 && byte <= 0xf4)
		*stream = (struct cleaner_stream){CLEANER_UTF8, false, 3, 4, byte & 0x07};
	else
		return put(cleaner, "?", 1);
	return true;
}

static bool end_utf8(struct cleaner *cleaner, struct cleaner_stream *stream)
{
	stream->state = CLEANER_TEXT;
	if (is_no_character(stream))
		return put(cleaner, "?", 1);
	if (stream->point < 0xa0) {
		stream->state = after_control(stream->point);
		return true;
	}
	return put_point(cleaner, stream);
}

static bool feed_text(struct cleaner *cleaner, struct cleaner_stream *stream, uint8_t byte)
{
	if (stream->carriage && byte != '\r') {
		stream->carriage = false;
		if (byte != '\n')
			cleaner->to->size = cleaner->line;
	}
	switch (byte) {
	case '\n': return put_line_end(cleaner);
	case '\r': stream->carriage = true; return true;
	case '\t': return put_tab(cleaner);
	case 0x1b: stream->state = CLEANER_ESCAPE; return true;
	case 0x7f: return true;
	}
	if (byte < 0x20)
		return true;
	if (byte < 0x7f)
		return put(cleaner, (const char *)&byte, 1);
	return begin_utf8(cleaner, stream, byte);
}

static enum cleaner_state after_escape(uint8_t byte)
{
	switch (byte) {
	case '[': return CLEANER_CSI;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_': return CLEANER_STRING;
	}
	return byte >= 0x20 && byte <= 0x2f ? CLEANER_CHARSET : CLEANER_TEXT;
}

static bool is_printable(uint8_t byte)
{
	return byte >= 0x20 && byte <= 0x7e;
}

/* True when the byte belongs to the sequence; false: it is to be read again as state now says. */
static bool is_taken(struct cleaner_stream *stream, uint8_t byte)
{
	enum cleaner_state state = stream->state;
	stream->state = CLEANER_TEXT;
	switch (state) {
	case CLEANER_TEXT:
	case CLEANER_UTF8: return false;
	case CLEANER_ESCAPE: stream->state = after_escape(byte); return is_printable(byte);
	case CLEANER_CHARSET:
		if (byte >= 0x20 && byte <= 0x2f)
			stream->state = CLEANER_CHARSET;
		return is_printable(byte);
	case CLEANER_CSI:
		if (byte >= 0x20 && byte <= 0x3f)
			stream->state = CLEANER_CSI;
		return is_printable(byte);
	case CLEANER_STRING:
		/* A line end ends an unfinished one: it must not swallow all that follows. */
		if (byte == 0x1b)
			stream->state = CLEANER_STRING_ESCAPE;
		else if (byte != 0x07 && byte != '\n')
			stream->state = CLEANER_STRING;
		return byte != '\n';
	case CLEANER_STRING_ESCAPE:
		if (byte == '\\')
			return true;
		stream->state = CLEANER_ESCAPE;
		return false;
	}
	return false;
}

static bool feed_byte(struct cleaner *cleaner, struct cleaner_stream *stream, uint8_t byte)
{
	if (stream->state == CLEANER_UTF8) {
		if ((byte & 0xc0) == 0x80) {
			stream->point = stream->point << 6 | (byte & 0x3f);
			return --stream->missing > 0 || end_utf8(cleaner, stream);
		}
		stream->state = CLEANER_TEXT;
		if (!put(cleaner, "?", 1))
			return false;
	}
	/* At most two turns: a string's escape, then the escape's own letter. */
	for (int i = 0; i < 2 && stream->state != CLEANER_TEXT; i++) {
		if (is_taken(stream, byte))
			return true;
	}
	return feed_text(cleaner, stream, byte);
}

bool cleaner_feed(struct cleaner *cleaner, uint64_t stream, struct text piece)
{
	check(stream <= STREAM_RUNNER);
	for (uint32_t i = 0; i < piece.size; i++) {
		if (!feed_byte(cleaner, &cleaner->streams[stream], (uint8_t)piece.data[i]))
			return false;
	}
	return true;
}

/* What the cleaner wrote is whole characters only. */
static uint32_t character_bytes(uint8_t first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

void cleaner_line(struct text text, uint32_t chars_max, bool keep_utf8, char *to, uint32_t room)
{
	struct bytes line;
	struct cleaner cleaner;
	uint32_t size = 0;
	uint32_t chars = 0;
	check(room > 0);
	/* A tab grows most. All has room: what is put in first is what is wanted. */
	bytes_init(&line, TAB_COLUMNS * text.size + TAB_COLUMNS);
	cleaner_init(&cleaner, &line, keep_utf8);
	cleaner_feed(&cleaner, 0, text);
	while (line.size > 0 &&
		(line.data[line.size - 1] == '\n' || line.data[line.size - 1] == ' '))
		line.size--;
	for (; size < line.size && chars < chars_max; chars++) {
		uint32_t bytes = character_bytes(line.data[size]);
		if (size + bytes >= room)
			break;
		memcpy(to + size, line.data + size, bytes);
		if (to[size] == '\n')
			to[size] = ' ';
		size += bytes;
	}
	to[size] = '\0';
	bytes_finish(&line);
}
