/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A run's record as one value: what its frames add up to. The one reader that supervisor, runner,
 * worker and nfctl share. Writers append with record_append(); who may write when is settled by
 * flock on the file, not here.
 */
#pragma once

#include "proto/record_frame.h"

enum record_state {
	RECORD_EMPTY,    /* no good frame: nothing was ever accepted under this name */
	RECORD_WAITING,  /* accepted: the queue */
	RECORD_RUNNING,  /* started, no result */
	RECORD_FINISHED, /* result */
};

enum record_told {
	RECORD_NOT_TOLD,
	RECORD_IS_DELIVERED,
	RECORD_IS_UNDELIVERABLE
};

struct record {
	enum record_state state;
	enum record_told told;
	uint64_t sequence;
	enum origin origin;
	char command[COMMAND_BYTES_MAX + 1];
	char dashboard[URL_BYTES_MAX + 1];
	int64_t accepted_wall_ms;
	uint64_t pid;
	uint64_t start_ticks;
	char boot[SHORT_TEXT_BYTES_MAX + 1];
	char cgroup[PATH_BYTES_MAX + 1];
	int64_t started_wall_ms;
	uint64_t started_mono_ms; /* since that boot */
	uint64_t deadline_ms;
	char stage[SHORT_TEXT_BYTES_MAX + 1];
	uint64_t step_current, step_total;
	uint64_t progress_current, progress_total, progress_passed;
	enum outcome outcome;
	int64_t code;
	char reason[REASON_BYTES_MAX + 1];
	char summary[SHORT_TEXT_BYTES_MAX + 1];
	int64_t ended_wall_ms;
	uint64_t took_ms;
	char method[SHORT_TEXT_BYTES_MAX + 1];
	uint64_t ended_count, ended_ms, left_count;
	char left[REASON_BYTES_MAX + 1];
	uint64_t output_bytes, output_dropped;
	uint32_t bytes;  /* where the next frame goes: the end of the last good one */
	bool torn;       /* something follows that is no good frame */
	bool is_foreign; /* a frame of a newer version, or of none: set aside, never written to */
};

/* Adds one frame. */
void record_fold(struct record *record, const struct record_frame *frame);

/* What the bytes of a whole record say; record_read() without a file. */
void record_parse(struct record *record, const uint8_t *data, uint32_t size);

/* Reads the whole record from its start (pread, so the offset stays). 0, or -1 with errno. */
int record_read(int fd, struct record *record);

/* Appends a frame at record->bytes and folds it; what followed the last good frame is overwritten.
 * Not synced. 0, or -1 with errno: ENOSPC also when only the room kept for the result is left and
 * the frame is not one of those it is kept for. */
int record_append(int fd, struct record *record, const struct record_frame *frame);

/* The frame as record_append() would write it at record->bytes, without writing. bytes is empty
 * before. 0, or -1 with errno as there. */
int record_encode(
	const struct record *record, const struct record_frame *frame, struct bytes *bytes);

/* Writes RECORD_BYTES zeros, so that the result has its place on the disk. 0, or -1 with errno. */
int record_reserve(int fd);

/* A legal name of a run: no slash, no leading dot, RUN_NAME_BYTES_MAX at most, [A-Za-z0-9-]. */
bool record_name_is_legal(struct text name);
/* Makes the name: compact time, command (legal characters only), four hex digits of random. to
 * holds RUN_NAME_BYTES_MAX + 1. */
void record_make_name(int64_t wall_ms, struct text command, uint64_t random, char *to);
