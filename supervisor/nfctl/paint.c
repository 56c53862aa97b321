/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/paint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const codes[] = {
	[PAINT_PLAIN] = "",
	[PAINT_GOOD] = "\033[32m",
	[PAINT_WARN] = "\033[33m",
	[PAINT_BAD] = "\033[31m",
	[PAINT_DIM] = "\033[2m",
};

static bool is_coloured(void)
{
	const char *off = getenv("NO_COLOR"), *on = getenv("CLICOLOR_FORCE");
	return !(off && *off) && ((on && *on && *on != '0') || isatty(STDOUT_FILENO));
}

void paint_text(enum paint paint, const char *text)
{
	if (paint == PAINT_PLAIN || !is_coloured())
		fputs(text, stdout);
	else
		printf("%s%s\033[0m", codes[paint], text);
}

void paint_label(const char *label)
{
	printf("%-11s", label);
}

void paint_duration(uint64_t ms, char text[PAINT_TIME_BYTES])
{
	uint64_t s = ms / 1000;
	if (ms < 1000)
		snprintf(text, PAINT_TIME_BYTES, "%" PRIu64 " ms", ms);
	else if (s < 60)
		snprintf(text, PAINT_TIME_BYTES, "%" PRIu64 " s", s);
	else if (s < 3600)
		snprintf(text, PAINT_TIME_BYTES, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, PAINT_TIME_BYTES, "%" PRIu64 " h %" PRIu64 " min", s / 3600,
			s % 3600 / 60);
	else
		snprintf(text, PAINT_TIME_BYTES, "%" PRIu64 " d %" PRIu64 " h", s / 86400,
			s % 86400 / 3600);
}

void paint_foreign(struct text text)
{
	for (uint32_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool is_odd = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
		putchar(is_odd ? '.' : byte);
	}
}
