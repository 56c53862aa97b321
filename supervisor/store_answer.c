/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a child answers a client of the control socket from the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/control.h"
#include "supervisor/record_folder.h"
#include "supervisor/store_child.h"

static void say(int out, const struct control *control)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	if (control_encode(control, &bytes) == 0)
		fd_write_all(out, bytes.data, bytes.size);
	bytes_finish(&bytes);
}

void store_child_say(void *data, const struct control *control)
{
	const struct store_job *job = data;
	say(job->out, control);
}

static void refuse(int out, const char *reason)
{
	say(out,
		&(struct control){.type = CONTROL_REFUSED, .refused = {.reason = text_of(reason)}});
}

static const char *state_name(const struct record_entry *entry)
{
	const struct record *record = &entry->record;
	switch (record->state) {
	case RECORD_EMPTY:
	case RECORD_WAITING: return "queued";
	case RECORD_RUNNING: return entry->is_live ? "running" : "lost";
	case RECORD_FINISHED: break;
	}
	switch (record->told) {
	case RECORD_NOT_TOLD: return record->origin == ORIGIN_DASHBOARD ? "owed" : "ended";
	case RECORD_IS_DELIVERED: return "delivered";
	case RECORD_IS_UNDELIVERABLE: return "undeliverable";
	}
	return "?";
}

void store_child_list(struct store_job *job, uint32_t most)
{
	struct record_list list;
	if (record_folder_list(job->runs, &list) < 0) {
		refuse(job->out, strerror(errno));
		return;
	}
	for (uint32_t i = 0; i < list.count && i < most; i++) {
		const struct record_entry *entry = &list.entries[list.count - 1 - i];
		const struct record *record = &entry->record;
		say(job->out, &(struct control){.type = CONTROL_RUN,
				      .run = {
					      .run = text_of(entry->name),
					      .command = text_of(record->command),
					      .state = text_of(state_name(entry)),
					      .origin = record->origin,
					      .owed = strcmp(state_name(entry), "owed") == 0,
					      .sequence = record->sequence,
					      .wall_ms = record->accepted_wall_ms,
					      .pid = record->pid,
					      .elapsed_ms = record->took_ms,
					      .deadline_ms = record->deadline_ms,
					      .outcome = record->outcome,
					      .code = record->code,
					      .reason = text_of(record->reason),
					      .summary = text_of(record->summary),
					      .method = text_of(record->method),
					      .ended_count = record->ended_count,
					      .ended_ms = record->ended_ms,
					      .left_count = record->left_count,
					      .left = text_of(record->left),
				      }});
	}
	record_folder_finish(&list);
	say(job->out, &(struct control){.type = CONTROL_DONE, .done = {.note = TEXT_NONE}});
}

/* The frame with its descriptors beside it: one byte stream, so they come with its first byte. */
static int send_files(int out, const struct bytes *frame, const int *fds, uint32_t count)
{
	char room[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec piece = {frame->data, frame->size};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	ssize_t sent = sendmsg(out, &message, 0);
	return sent == (ssize_t)frame->size ? 0 : -1;
}

void store_child_flight(struct store_job *job, uint64_t most)
{
	char piece[OUTPUT_CHUNK_BYTES_MAX];
	uint64_t at = 0;
	ssize_t got = 1;
	while (job->flight >= 0 && at < most && got > 0) {
		got = fd_read_at(job->flight, piece, sizeof(piece), (off_t)at);
		if (got > 0)
			say(job->out, &(struct control){.type = CONTROL_PIECE,
					      .piece = {.bytes = {piece, (uint32_t)got}}});
		at += got > 0 ? (uint64_t)got : 0;
	}
	say(job->out, &(struct control){.type = CONTROL_DONE, .done = {.note = TEXT_NONE}});
}

static bool newest_name(struct store_job *job, char name[RUN_NAME_BYTES_MAX + 1])
{
	struct record_list list;
	if (record_folder_list(job->runs, &list) < 0)
		return false;
	bool found = list.count > 0;
	if (found)
		memcpy(name, list.entries[list.count - 1].name, RUN_NAME_BYTES_MAX + 1);
	record_folder_finish(&list);
	return found;
}

void store_child_files(struct store_job *job, struct text asked)
{
	char name[RUN_NAME_BYTES_MAX + 1], path[RUN_NAME_BYTES_MAX + 8];
	struct bytes bytes;
	if (asked.size > 0)
		text_copy(asked, name, sizeof(name));
	else if (!newest_name(job, name)) {
		refuse(job->out, "there is no run yet");
		return;
	}
	own_fd record = record_folder_open(job->runs, name, O_RDONLY);
	if (record < 0) {
		refuse(job->out, errno == ENOENT ? "there is no such run" : strerror(errno));
		return;
	}
	snprintf(path, sizeof(path), "%s.out", name);
	own_fd output = openat(job->runs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int fds[2] = {record, output};
	struct control files = {
		.type = CONTROL_FILES, .files = {.run = text_of(name), .output = output >= 0}};
	bytes_init(&bytes, FRAME_BYTES_MAX);
	if (control_encode(&files, &bytes) == 0)
		send_files(job->out, &bytes, fds, output >= 0 ? 2 : 1);
	bytes_finish(&bytes);
	say(job->out, &(struct control){.type = CONTROL_DONE, .done = {.note = TEXT_NONE}});
}
