/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How nfctl shows things to people. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"

enum paint {
	PAINT_PLAIN,
	PAINT_GOOD,
	PAINT_WARN,
	PAINT_BAD,
	PAINT_DIM
};

/* Prints text in a colour, on a terminal or with CLICOLOR_FORCE, and not with NO_COLOR. */
void paint_text(enum paint paint, const char *text);
/* Prints a label in its column. */
void paint_label(const char *label);

#define PAINT_TIME_BYTES 32
/* "850 ms", "12 s", "3 min 20 s", "5 h 3 min", "2 d 4 h". */
void paint_duration(uint64_t ms, char text[PAINT_TIME_BYTES]);
/* Prints text from outside: control bytes other than newline and tab as dots. */
void paint_foreign(struct text text);
