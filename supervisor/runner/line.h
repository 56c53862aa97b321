/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The line that a stream is writing: what is longer than there is room for loses its end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"

struct line {
	char text[REASON_BYTES_MAX + 1]; /* terminated when line_take() says so */
	uint32_t size;
};

/* Takes bytes from the front of data until a line is whole; false: all are taken and it is not.
 * Control bytes are left out, and lines without anything else. */
bool line_take(struct line *line, const char **data, uint32_t *size);
