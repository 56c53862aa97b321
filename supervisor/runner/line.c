/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/line.h"

#include <limits.h>
#include <string.h>

static bool says_something(const struct line *line)
{
	return line->text[strspn(line->text, " ")] != '\0';
}

/* There may be a million lines: whole pieces are looked through at once. */
static const char *find_end(const char *data, uint32_t size)
{
	const char *end = memchr(data, '\n', size);
	const char *back = memchr(data, '\r', end ? (size_t)(end - data) : size);
	return back ? back : end;
}

/* No control byte. The least is looked for without a way out, so that the compiler may take many at
 * once. */
static bool is_plain(const char *data, uint32_t size)
{
	unsigned char least = UCHAR_MAX;
	for (uint32_t i = 0; i < size; i++)
		least = (unsigned char)data[i] < least ? (unsigned char)data[i] : least;
	return least >= 0x20;
}

static void keep(struct line *line, const char *data, uint32_t size)
{
	uint32_t room = (uint32_t)sizeof(line->text) - 1 - line->size;
	if (is_plain(data, size)) {
		uint32_t kept = size < room ? size : room;
		memcpy(line->text + line->size, data, kept);
		line->size += kept;
		return;
	}
	for (uint32_t i = 0; i < size && line->size < sizeof(line->text) - 1; i++) {
		if ((unsigned char)data[i] >= 0x20)
			line->text[line->size++] = data[i];
	}
}

bool line_take(struct line *line, const char **data, uint32_t *size)
{
	while (*size > 0) {
		const char *end = find_end(*data, *size);
		uint32_t piece = end ? (uint32_t)(end - *data) : *size;
		keep(line, *data, piece);
		*data += piece + (end != NULL);
		*size -= piece + (end != NULL);
		if (!end)
			return false;
		line->text[line->size] = '\0';
		line->size = 0;
		if (says_something(line))
			return true;
	}
	return false;
}
