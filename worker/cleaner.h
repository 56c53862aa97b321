/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Turns what programs print into plain text: control sequences go whole, a carriage return rewrites
 * its line as a terminal would, tabs become spaces. Pure: bytes in, text out; pieces may be cut
 * anywhere. Each stream has its own state, so that two of them cannot break each other's sequences.
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/terms.h"

enum cleaner_state {
	CLEANER_TEXT,
	CLEANER_UTF8,
	CLEANER_ESCAPE,
	CLEANER_CHARSET,
	CLEANER_CSI,
	CLEANER_STRING,
	CLEANER_STRING_ESCAPE,
};

struct cleaner_stream {
	enum cleaner_state state;
	bool carriage; /* a carriage return waits for what follows it */
	uint8_t missing;
	uint8_t length;
	uint32_t point;
};

struct cleaner {
	struct bytes *to; /* borrowed; its oldest half is dropped when it is full */
	bool keep_utf8;   /* else what is not ASCII is put in ASCII, or as a question mark */
	uint32_t line;    /* where the last line begins in to */
	struct cleaner_stream streams[STREAM_RUNNER + 1];
};

void cleaner_init(struct cleaner *cleaner, struct bytes *to, bool keep_utf8);
/* stream: 0 to STREAM_RUNNER. False when memory ran out. */
bool cleaner_feed(struct cleaner *cleaner, uint64_t stream, struct text piece);

/* One line of at most chars_max characters: cleaned, line ends as spaces, the end cut off.
 * to holds room bytes. */
void cleaner_line(struct text text, uint32_t chars_max, bool keep_utf8, char *to, uint32_t room);
