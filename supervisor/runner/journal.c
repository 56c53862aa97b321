/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/report.h"
#include "supervisor/platform.h"

#define TURN_LOOK_MS  20
#define DISK_AGAIN_MS 1000
#define START_TRIES   3

static void file_name(const struct run *run, const char *suffix, char path[PATH_BYTES_MAX * 2])
{
	snprintf(path, PATH_BYTES_MAX * 2, "%.*s/%.*s%s", TEXT_ARGS(run->plan.runs_dir),
		TEXT_ARGS(run->plan.run), suffix);
}

/* False: the supervisor is gone or does not read. */
static bool report(struct run *run, const struct report *report)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	bool done = run->report >= 0 && report_encode(report, &bytes) == 0 &&
		    write(run->report, bytes.data, bytes.size) == (ssize_t)bytes.size;
	bytes_finish(&bytes);
	return done;
}

/* Nothing was started; the record may say so or not, so the supervisor is told to write it. */
static void refuse(struct run *run, const char *what)
{
	snprintf(run->reason, sizeof(run->reason), "%s: %s", what, strerror(errno));
	report(run, &(struct report){.type = REPORT_RESULT,
			    .result = {.outcome = OUTCOME_REFUSED,
				    .reason = text_of(run->reason),
				    .summary = TEXT_NONE,
				    .kept = false}});
}

/* Whoever has the turn may be the one that runs this very command. */
static bool still_waits(const struct run *run)
{
	char path[PATH_BYTES_MAX * 2];
	struct record record;
	file_name(run, ".run", path);
	own_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && record_read(fd, &record) == 0 && record.state == RECORD_WAITING;
}

/* One command at a time, whoever started its runner: a supervisor that died may have left one that
 * the disk held up before it could say so. The folder's lock is the turn; it ends with us. */
static int wait_for_turn(struct run *run)
{
	char path[PATH_BYTES_MAX + 1];
	text_copy(run->plan.runs_dir, path, sizeof(path));
	run->turn_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (run->turn_fd >= 0 && run->asked == ASKED_NOTHING) {
		if (flock(run->turn_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || !still_waits(run))
			break;
		run_attend(run, TURN_LOOK_MS);
	}
	log_error("%s: the turn of %.*s did not come: %s", path, TEXT_ARGS(run->plan.run),
		run->asked == ASKED_NOTHING ? strerror(errno) : "it was ended before");
	return -1;
}

static int open_record(struct run *run)
{
	char path[PATH_BYTES_MAX * 2];
	file_name(run, ".run", path);
	run->record_fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool is_another = run->record_fd >= 0 && flock(run->record_fd, LOCK_EX | LOCK_NB) < 0;
	if (run->record_fd < 0 || is_another || record_read(run->record_fd, &run->record) < 0) {
		log_error("%s: %s", path, strerror(errno));
		/* One that another runner holds is that one's to report. */
		if (!is_another)
			refuse(run, "its record cannot be opened");
		return -1;
	}
	/* Another runner may have had it before: what has started is never run again. */
	if (run->record.state != RECORD_WAITING || run->record.is_foreign) {
		log_error("%s: it does not wait to be started", path);
		return -1;
	}
	return 0;
}

/* Whoever started us is gone. Looked at with the record locked: an agent that read it before took
 * the command for one that waits, and starts it itself or, while the host is paused, does not; one
 * that reads it from now on sees that somebody holds it. */
static bool is_abandoned(const struct run *run)
{
	struct pollfd wait = {.fd = run->report, .events = 0};
	return poll(&wait, 1, 0) > 0;
}

/* Durable, or not done. After an fsync that failed the kernel may have thrown the pages away and
 * call the next fsync good: so the same bytes are written at the same place before each. */
static bool write_durably(
	struct run *run, const struct record *before, const struct record_frame *frame)
{
	run->record = *before;
	return record_append(run->record_fd, &run->record, frame) == 0 &&
	       fd_sync(run->record_fd) == 0;
}

static int write_started(struct run *run)
{
	char boot[BOOT_ID_BYTES];
	const struct record before = run->record;
	platform_boot_id(boot);
	struct record_frame frame = {.type = RECORD_STARTED,
		.started = {.pid = (uint64_t)getpid(),
			.start_ticks = platform_start_ticks(getpid()),
			.boot = text_of(boot),
			.cgroup = text_of(run->cgroup.path),
			.wall_ms = wall_ms(wall_now()),
			.mono_ms = run->started.ns / NS_PER_MS,
			.deadline_ms = run->plan.deadline_ms}};
	for (int i = 0; i < START_TRIES; i++) {
		if (i > 0)
			poll(NULL, 0, DISK_AGAIN_MS);
		if (write_durably(run, &before, &frame))
			return 0;
	}
	log_error("the record of %.*s does not take its start: %s", TEXT_ARGS(run->plan.run),
		strerror(errno));
	return -1;
}

static void open_files(struct run *run)
{
	char path[PATH_BYTES_MAX * 2];
	file_name(run, ".out", path);
	sink_init(&run->sink,
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (run->sink.fd < 0)
		log_warn("%s: %s: the output is lost", path, strerror(errno));
	file_name(run, ".ctl", path);
	unlink(path);
	/* Both ways, so that it never ends and never keeps anybody waiting. */
	if (mkfifo(path, 0600) == 0)
		run->control = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (run->control < 0)
		log_warn("%s: %s: it is cancelled by a signal only", path, strerror(errno));
}

int journal_open(struct run *run)
{
	if (wait_for_turn(run) < 0 || open_record(run) < 0)
		return -1;
	if (is_abandoned(run)) {
		log_info("%.*s: its agent is gone: it is the next one's to start",
			TEXT_ARGS(run->plan.run));
		return -1;
	}
	run_begin(run); /* the wait was not the command's */
	cgroup_create(&run->cgroup, run->plan.run);
	open_files(run);
	if (write_started(run) < 0) {
		refuse(run, "its start could not be written to the disk");
		cgroup_destroy(&run->cgroup);
		return -1;
	}
	report(run, &(struct report){.type = REPORT_STARTED,
			    .started = {.pid = (uint64_t)getpid(),
				    .cgroup = text_of(run->cgroup.path)}});
	return 0;
}

static struct record_frame result_of(struct run *run)
{
	return (struct record_frame){.type = RECORD_RESULT,
		.result = {.outcome = run->outcome,
			.code = run->code,
			.reason = text_of(run->reason),
			.summary = text_of(run->summary),
			.wall_ms = wall_ms(wall_now()),
			.took_ms = run_ms(run),
			.method = text_of(run->proof.method),
			.ended_count = run->proof.ended_count,
			.ended_ms = run->proof.ended_ms,
			.left_count = run->proof.left_count,
			.left = text_of(run->proof.left),
			.output_bytes = run->sink.bytes,
			.output_dropped = run->sink.dropped}};
}

void journal_close(struct run *run)
{
	char path[PATH_BYTES_MAX * 2];
	bool is_kept, is_told = false;
	const struct record before = run->record;
	sink_end(&run->sink, run_ms(run));
	const struct record_frame frame = result_of(run);
	for (;;) {
		is_kept = write_durably(run, &before, &frame);
		struct report result = {.type = REPORT_RESULT,
			.result = {.outcome = run->outcome,
				.code = run->code,
				.reason = text_of(run->reason),
				.summary = text_of(run->summary),
				.kept = is_kept,
				.left = run->proof.left_count}};
		is_told = is_told || report(run, &result);
		if (is_kept || is_told)
			break;
		log_error("the disk does not take the result and nobody else is there: %s",
			strerror(errno));
		poll(NULL, 0, DISK_AGAIN_MS);
	}
	file_name(run, ".ctl", path);
	unlink(path);
}
