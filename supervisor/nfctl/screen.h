/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A terminal that shows one text, drawn anew in place. Nothing wraps or scrolls: what does not fit
 * is cut, so the first line is always on the first row. Its settings are left alone, so it may be
 * ended at any moment.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"

struct screen {
	uint32_t rows, columns;
};

/* Asks the terminal on standard output; true: it has another size than before. */
bool screen_measure(struct screen *screen);
/* Appends what draws the text: each line cut to the width, the last row left to the cursor.
 * Sequences that colour take no room. */
void screen_fit(const struct screen *screen, struct text text, struct bytes *bytes);
