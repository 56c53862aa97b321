/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reads a run's output file from an offset while it grows. The reader shared by the worker and
 * nfctl: one frame in memory, whatever the file holds.
 */
#pragma once

#include "proto/output.h"

struct output_reader {
	int fd;          /* lent */
	uint64_t offset; /* of the next frame */
	uint8_t data[FRAME_BYTES_MAX + FRAME_HEAD_BYTES];
};

enum output_reader_verdict {
	OUTPUT_READ,  /* *output is the next frame, lent until the next call; offset is behind it */
	OUTPUT_WAITS, /* the next frame is not there yet */
	OUTPUT_BAD,   /* what follows is no frame of ours: nothing more will come */
	OUTPUT_FAILED, /* errno */
};

void output_reader_init(struct output_reader *reader, int fd, uint64_t offset);
enum output_reader_verdict output_reader_next(struct output_reader *reader, struct output *output);
