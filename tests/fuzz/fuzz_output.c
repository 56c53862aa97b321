/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What programs print, in pieces of a length the first byte chooses, to plain text. */
#include <stdint.h>
#include <string.h>

#include "proto/base/check.h"
#include "worker/cleaner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean(const uint8_t *data, uint32_t size, uint32_t piece, struct bytes *to)
{
	struct cleaner cleaner;
	cleaner_init(&cleaner, to, false);
	for (uint32_t at = 0; at < size; at += piece) {
		uint32_t left = size - at;
		check(cleaner_feed(&cleaner, STREAM_STDERR,
			(struct text){(const char *)data + at, left < piece ? left : piece}));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes whole;
	struct bytes cut;
	char line[4 * 20 + 1];
	if (size < 2 || size > 4096)
		return 0;
	bytes_init(&whole, 65536);
	bytes_init(&cut, 65536);
	clean(data + 1, (uint32_t)size - 1, (uint32_t)size, &whole);
	clean(data + 1, (uint32_t)size - 1, 1 + data[0] % 16, &cut);
	check(whole.size == cut.size);
	check(whole.size == 0 || memcmp(whole.data, cut.data, whole.size) == 0);
	for (uint32_t i = 0; i < whole.size; i++)
		check(whole.data[i] == '\n' || (whole.data[i] >= 32 && whole.data[i] <= 126));
	cleaner_line(
		(struct text){(const char *)data, (uint32_t)size}, 20, true, line, sizeof(line));
	check(strcspn(line, "\n\r\x1b") == strlen(line));
	bytes_finish(&whole);
	bytes_finish(&cut);
	return 0;
}
