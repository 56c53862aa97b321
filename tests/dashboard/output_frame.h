/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An output message, read without building JSON: there can be a million of them in a few seconds.
 * Only the plain ones are read here; what is spelled otherwise, escapes for instance, or is not
 * quite right goes the way of all messages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/bytes.h"

/* All lent. */
struct output_frame {
	struct text line;
	struct text stream;
	struct text command;
	bool is_error;
};

/* False where the text is no plain output message with all of its fields. */
bool output_frame_read(const char *text, size_t size, struct output_frame *frame);
