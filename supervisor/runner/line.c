/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/line.h"

#include <string.h>

static bool says_something(const struct line *line)
{
	return line->text[strspn(line->text, " ")] != '\0';
}

bool line_take(struct line *line, const char **data, uint32_t *size)
{
	while (*size > 0) {
		char byte = *(*data)++;
		(*size)--;
		if (byte != '\n' && byte != '\r') {
			if (line->size < sizeof(line->text) - 1 && (unsigned char)byte >= 0x20)
				line->text[line->size++] = byte;
			continue;
		}
		line->text[line->size] = '\0';
		line->size = 0;
		if (says_something(line))
			return true;
	}
	return false;
}
