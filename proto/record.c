/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/record.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/time.h"
#include "proto/frame.h"

static void fold_accepted(struct record *record, const struct record_frame_accepted *frame)
{
	record->state = RECORD_WAITING;
	record->sequence = frame->sequence;
	record->origin = (enum origin)frame->origin;
	record->accepted_wall_ms = frame->wall_ms;
	text_copy(frame->command, record->command, sizeof(record->command));
	text_copy(frame->dashboard, record->dashboard, sizeof(record->dashboard));
}

static void fold_started(struct record *record, const struct record_frame_started *frame)
{
	record->state = RECORD_RUNNING;
	record->pid = frame->pid;
	record->start_ticks = frame->start_ticks;
	record->started_wall_ms = frame->wall_ms;
	record->started_mono_ms = frame->mono_ms;
	record->deadline_ms = frame->deadline_ms;
	text_copy(frame->boot, record->boot, sizeof(record->boot));
	text_copy(frame->cgroup, record->cgroup, sizeof(record->cgroup));
}

static void fold_step(struct record *record, const struct record_frame_step *frame)
{
	record->step_current = frame->current;
	record->step_total = frame->total;
	text_copy(frame->stage, record->stage, sizeof(record->stage));
}

static void fold_progress(struct record *record, const struct record_frame_progress *frame)
{
	record->progress_current = frame->current;
	record->progress_total = frame->total;
	record->progress_passed = frame->passed;
	text_copy(frame->stage, record->stage, sizeof(record->stage));
}

static void fold_result(struct record *record, const struct record_frame_result *frame)
{
	record->state = RECORD_FINISHED;
	record->outcome = (enum outcome)frame->outcome;
	record->code = frame->code;
	record->ended_wall_ms = frame->wall_ms;
	record->took_ms = frame->took_ms;
	record->ended_count = frame->ended_count;
	record->ended_ms = frame->ended_ms;
	record->left_count = frame->left_count;
	record->output_bytes = frame->output_bytes;
	record->output_dropped = frame->output_dropped;
	text_copy(frame->reason, record->reason, sizeof(record->reason));
	text_copy(frame->summary, record->summary, sizeof(record->summary));
	text_copy(frame->method, record->method, sizeof(record->method));
	text_copy(frame->left, record->left, sizeof(record->left));
}

void record_fold(struct record *record, const struct record_frame *frame)
{
	switch (frame->type) {
	case RECORD_ACCEPTED: fold_accepted(record, &frame->accepted); break;
	case RECORD_STARTED: fold_started(record, &frame->started); break;
	case RECORD_STEP: fold_step(record, &frame->step); break;
	case RECORD_PROGRESS: fold_progress(record, &frame->progress); break;
	case RECORD_ENDED: break;
	case RECORD_RESULT: fold_result(record, &frame->result); break;
	case RECORD_DELIVERED: record->told = RECORD_IS_DELIVERED; break;
	case RECORD_UNDELIVERABLE: record->told = RECORD_IS_UNDELIVERABLE; break;
	}
}

void record_parse(struct record *record, const uint8_t *data, uint32_t size)
{
	struct frame frame;
	struct record_frame value;
	*record = (struct record){.state = RECORD_EMPTY};
	while (record->bytes < size) {
		enum frame_verdict verdict = frame_parse(
			data + record->bytes, size - record->bytes, &frame);
		if (verdict == FRAME_END)
			return;
		if (verdict != FRAME_WHOLE) {
			record->torn = true;
			return;
		}
		if (record_frame_decode(frame.payload, &value) != SCHEMA_GOOD ||
			(record->state == RECORD_EMPTY && value.type != RECORD_ACCEPTED)) {
			record->is_foreign = true;
			return;
		}
		record_fold(record, &value);
		record->bytes += frame.bytes;
	}
}

int record_read(int fd, struct record *record)
{
	uint8_t data[RECORD_BYTES];
	ssize_t size = fd_read_at(fd, data, sizeof(data), 0);
	if (size < 0)
		return -1;
	record_parse(record, data, (uint32_t)size);
	return 0;
}

int record_encode(
	const struct record *record, const struct record_frame *frame, struct bytes *bytes)
{
	check(!record->is_foreign);
	if (record_frame_encode(frame, bytes) < 0)
		return -1;
	bool is_final = frame->type == RECORD_RESULT || frame->type == RECORD_DELIVERED ||
			frame->type == RECORD_UNDELIVERABLE;
	uint32_t room = RECORD_BYTES - (is_final ? 0 : RECORD_RESERVE_BYTES);
	if (bytes->size <= room - (record->bytes < room ? record->bytes : room))
		return 0;
	errno = ENOSPC;
	return -1;
}

int record_append(int fd, struct record *record, const struct record_frame *frame)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	int done = record_encode(record, frame, &bytes);
	if (done == 0)
		done = fd_write_at(fd, bytes.data, bytes.size, record->bytes);
	if (done == 0) {
		record->bytes += bytes.size;
		record_fold(record, frame);
	}
	int kept = errno;
	bytes_finish(&bytes);
	errno = kept;
	return done;
}

int record_reserve(int fd)
{
	static const uint8_t zeros[4096];
	static_assert(RECORD_BYTES % sizeof(zeros) == 0, "whole pieces");
	for (off_t at = 0; at < RECORD_BYTES; at += (off_t)sizeof(zeros)) {
		if (fd_write_at(fd, zeros, sizeof(zeros), at) < 0)
			return -1;
	}
	return 0;
}

bool record_name_is_legal(struct text name)
{
	if (name.size == 0 || name.size > RUN_NAME_BYTES_MAX || name.data[0] == '-')
		return false;
	for (uint32_t i = 0; i < name.size; i++) {
		unsigned char byte = (unsigned char)name.data[i];
		if (!isascii(byte) || (!isalnum(byte) && byte != '-'))
			return false;
	}
	return true;
}

void record_make_name(int64_t wall_milliseconds, struct text command, uint64_t random, char *to)
{
	char when[WALL_TEXT_BYTES];
	char word[33];
	uint32_t size = 0;
	wall_compact((struct wall){wall_milliseconds * (int64_t)NS_PER_MS}, when);
	for (uint32_t i = 0; i < command.size && size < sizeof(word) - 1; i++) {
		unsigned char byte = (unsigned char)command.data[i];
		if (isascii(byte) && (isalnum(byte) || byte == '-'))
			word[size++] = (char)byte;
	}
	word[size] = '\0';
	snprintf(to, RUN_NAME_BYTES_MAX + 1, "%s-%s-%04x", when, size ? word : "command",
		(unsigned)(random & 0xffff));
	check(record_name_is_legal(text_of(to)));
}
