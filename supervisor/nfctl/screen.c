/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/screen.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Where a terminal does not say. */
#define ROWS    24
#define COLUMNS 80

bool screen_measure(struct screen *screen)
{
	struct winsize size = {0};
	const struct screen before = *screen;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	screen->rows = size.ws_row ? size.ws_row : ROWS;
	screen->columns = size.ws_col ? size.ws_col : COLUMNS;
	return screen->rows != before.rows || screen->columns != before.columns;
}

/* The bytes of the sequence that begins here; 0: none does. */
static uint32_t sequence(struct text text, uint32_t at)
{
	uint32_t size = 2;
	if (at + 1 >= text.size || text.data[at] != '\033' || text.data[at + 1] != '[')
		return 0;
	while (at + size < text.size && (text.data[at + size] < '@' || text.data[at + size] > '~'))
		size++;
	return at + size < text.size ? size + 1 : size;
}

/* One cell for each character, as for all that nfctl prints. */
static void fit_line(struct text line, uint32_t columns, struct bytes *bytes)
{
	uint32_t used = 0;
	for (uint32_t at = 0; at < line.size;) {
		uint32_t size = sequence(line, at);
		bool is_start = size == 0 && ((unsigned char)line.data[at] & 0xc0) != 0x80;
		used += is_start;
		size = size ? size : 1;
		if (line.data[at] == '\033' || used <= columns)
			bytes_append(bytes, line.data + at, size);
		at += size;
	}
}

void screen_fit(const struct screen *screen, struct text text, struct bytes *bytes)
{
	uint32_t at = 0;
	bytes_append_text(bytes, "\033[H");
	for (uint32_t row = 1; row < screen->rows && at < text.size; row++) {
		const char *end = memchr(text.data + at, '\n', text.size - at);
		uint32_t size = end ? (uint32_t)(end - text.data) - at : text.size - at;
		/* Erased first: behind a full line the cursor stands on its last character. */
		bytes_append_text(bytes, "\033[2K");
		fit_line((struct text){text.data + at, size}, screen->columns, bytes);
		bytes_append_text(bytes, "\033[m\n");
		at += size + 1;
	}
	bytes_append_text(bytes, "\033[J");
}
