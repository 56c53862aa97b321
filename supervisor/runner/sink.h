/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where a run's output goes: frames appended to <run>.out, at most OUTPUT_BYTES_MAX, then only the
 * newest OUTPUT_TAIL_BYTES in memory, written at the end. A disk that does not take it loses
 * output, which is counted; it never holds up the command.
 */
#pragma once

#include "proto/output.h"
#include "supervisor/runner/line.h"
#include "supervisor/runner/ring.h"

struct sink {
	int fd;            /* owned; -1: everything is dropped */
	uint64_t offset;   /* in the file */
	uint64_t bytes;    /* of output that came */
	uint64_t dropped;  /* and is not kept */
	uint64_t skipped;  /* of these, not said in the file yet */
	struct ring tail;  /* the newest, once the file is full */
	struct bytes head; /* the first of standard output, where sink_keep_head() was called */
	/* The newest line of standard error that says something, and the one being written. */
	char last_line[REASON_BYTES_MAX + 1];
	struct line line;
};

void sink_init(struct sink *sink, int fd);
/* Keeps the first PROBE_OUTPUT_BYTES_MAX bytes of standard output from now on in sink->head as
 * well. */
void sink_keep_head(struct sink *sink);
/* Takes a piece. ms since the run began. */
void sink_take(struct sink *sink, uint64_t ms, enum stream stream, const void *data, uint32_t size);
/* A step's end: its last line counts though nothing ended it. */
void sink_end_line(struct sink *sink);
/* Writes what is left, and cuts off a frame that the disk took only a part of; nothing more may be
 * taken. */
void sink_end(struct sink *sink, uint64_t ms);
void sink_finish(struct sink *sink);
