/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/store_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/plan.h"
#include "supervisor/kept.h"
#include "supervisor/ops.h"
#include "supervisor/orphans.h"
#include "supervisor/platform.h"
#include "supervisor/record_folder.h"
#include "supervisor/runner/unit.h"
#include "supervisor/shell.h"

#define LOCK_LOOK_MS 5
#define UNIT_LOOK_MS 500

#define SENT_NAME      "sent"
#define SENT_TEMPORARY "sent.new"

static int fail(struct store_job *job, const char *call)
{
	job->call = call;
	return -1;
}

static void say(const struct store_job *job, const struct stored *stored)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	if (stored_encode(stored, &bytes) == 0)
		fd_write_all(job->out, bytes.data, bytes.size); /* a gone parent is no matter */
	bytes_finish(&bytes);
}

/* Also where a container was started anew: it keeps the machine's boot id, and its first process is
 * younger than the runner. Nothing of what the runner began is left. */
static bool is_of_another_boot(const struct record *record)
{
	char boot[BOOT_ID_BYTES];
	platform_boot_id(boot);
	return strcmp(boot, record->boot) != 0 ||
	       (record->start_ticks != 0 && platform_start_ticks(1) > record->start_ticks);
}

/* Not where the kernel does not tell its boots apart. */
static bool is_of_this_boot(const struct record *record)
{
	return strcmp(record->boot, BOOT_ID_UNKNOWN) != 0 && !is_of_another_boot(record);
}

static void say_found(
	const struct store_job *job, struct text name, const struct record *record, bool is_live)
{
	struct stored stored = {.type = STORED_FOUND, .found = stored_from_record(name, record)};
	stored.found.live = is_live;
	stored.found.this_boot = is_of_this_boot(record);
	stored.found.owed = record->origin == ORIGIN_DASHBOARD &&
			    strcmp(record->dashboard, job->config->url) == 0;
	if (text_is(name, job->sent_run))
		stored.found.sent = job->sent;
	say(job, &stored);
}

/* While the lock was waited for, somebody may have found an empty record and set it aside. */
static bool is_in_place(int fd, int folder, const char *name)
{
	struct stat held, named;
	own_fd again = record_folder_open(folder, name, O_RDONLY);
	return again >= 0 && fstat(fd, &held) == 0 && fstat(again, &named) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* Opens a record and waits for its lock: the runner that said its result is about to let go. */
static int open_locked(struct store_job *job, int flags, struct record *record)
{
	own_fd fd = record_folder_open(job->runs, job->run->name, O_RDWR | flags);
	if (fd < 0)
		return fail(job, "open of the record");
	if (flock(fd, LOCK_EX) < 0)
		return fail(job, "flock of the record");
	if (!is_in_place(fd, job->runs, job->run->name)) {
		errno = ESTALE;
		return fail(job, "open of the record");
	}
	if (record_read(fd, record) < 0)
		return fail(job, "read of the record");
	if (record->is_foreign) {
		errno = EILSEQ;
		return fail(job, "read of the record");
	}
	return steal_fd(&fd);
}

static struct record_frame result_frame(const struct rules_run *run)
{
	return (struct record_frame){.type = RECORD_RESULT,
		.result = {.outcome = run->outcome,
			.code = run->code,
			.reason = text_of(run->reason),
			.summary = text_of(run->summary),
			.method = text_of("none"),
			.wall_ms = wall_ms(wall_now())}};
}

static int append(
	struct store_job *job, int fd, struct record *record, const struct record_frame *frame)
{
	if (record_append(fd, record, frame) < 0)
		return fail(job, "write of the record");
	return 0;
}

/* Makes the record durable. What was written before and not synced, the kernel may have thrown away
 * and call the next fsync good: so it is written again first. Frames never change, so that is safe
 * also while somebody else appends. */
static int make_durable(struct store_job *job, int fd, const struct record *record)
{
	uint8_t data[RECORD_BYTES];
	ssize_t size = fd_read_at(fd, data, record->bytes, 0);
	if (size < 0 || fd_write_at(fd, data, (size_t)size, 0) < 0)
		return fail(job, "write of the record");
	return fd_sync(fd) < 0 ? fail(job, "fsync of the record") : 0;
}

/* Idempotent: a child that was killed after it wrote is followed by one that finds it written. */
static int act_accept(struct store_job *job)
{
	const struct rules_run *run = job->run;
	struct record record;
	own_fd fd = open_locked(job, O_CREAT, &record);
	if (fd < 0)
		return -1;
	struct record_frame accepted = {.type = RECORD_ACCEPTED,
		.accepted = {.sequence = run->sequence,
			.command = text_of(run->command),
			.origin = run->origin,
			.dashboard = run->origin == ORIGIN_DASHBOARD ? text_of(job->dashboard)
								     : TEXT_NONE,
			.wall_ms = run->wall_ms}};
	struct record_frame refused = result_frame(run);
	/* The disk held us up until our supervisor was gone: the next one has read the records, and
	 * must not find one more at its next start. */
	if (record.state == RECORD_EMPTY && getppid() != job->parent) {
		errno = ECANCELED;
		return fail(job, "accept");
	}
	if (record.state == RECORD_EMPTY) {
		if (record_reserve(fd) < 0)
			return fail(job, "write of the record");
		if (append(job, fd, &record, &accepted) < 0)
			return -1;
	}
	if (run->outcome == OUTCOME_REFUSED && record.state == RECORD_WAITING &&
		append(job, fd, &record, &refused) < 0)
		return -1;
	if (make_durable(job, fd, &record) < 0)
		return -1;
	return fd_sync(job->runs) < 0 ? fail(job, "fsync of the folder") : 0;
}

/* A runner of an agent before waited for its turn and began the command meanwhile: what is to be
 * kept is of another one, or of none. */
static bool is_begun_by_another(const struct store_job *job, const struct record *record)
{
	return record->state == RECORD_RUNNING && record->pid != (uint64_t)job->run->pid;
}

static int keep_nothing(struct store_job *job, const char *why)
{
	errno = EEXIST;
	return fail(job, why);
}

static int act_keep(struct store_job *job)
{
	struct record record;
	struct record_frame frame = result_frame(job->run);
	/* Looked at before the lock, too, which that runner keeps until its command has ended. */
	own_fd peek = record_folder_open(job->runs, job->run->name, O_RDWR);
	if (peek >= 0 && record_read(peek, &record) == 0 && is_begun_by_another(job, &record))
		return keep_nothing(job, "another runner began it");
	own_fd fd = open_locked(job, 0, &record);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (record.state == RECORD_EMPTY)
		return 0; /* not even its acceptance was written: there is nothing to end */
	if (is_begun_by_another(job, &record))
		return keep_nothing(job, "another runner began it");
	bool is_same = record.outcome == job->run->outcome && record.code == job->run->code;
	/* A runner that was thought dead wrote how it really ended. */
	if (record.state == RECORD_FINISHED && !is_same)
		return keep_nothing(job, "the record has a result already");
	if (record.state != RECORD_FINISHED && append(job, fd, &record, &frame) < 0)
		return -1;
	return make_durable(job, fd, &record);
}

static int act_mark(struct store_job *job)
{
	struct record record;
	int64_t now = wall_ms(wall_now());
	struct record_frame frame = {.type = RECORD_DELIVERED, .delivered = {.wall_ms = now}};
	if (job->run->undeliverable[0])
		frame = (struct record_frame){.type = RECORD_UNDELIVERABLE,
			.undeliverable = {
				.wall_ms = now, .reason = text_of(job->run->undeliverable)}};
	own_fd fd = open_locked(job, 0, &record);
	if (fd < 0)
		return -1;
	if (record.told == RECORD_NOT_TOLD && append(job, fd, &record, &frame) < 0)
		return -1;
	return make_durable(job, fd, &record);
}

/* What is known of a run whose runner is gone, with the proof that its tree is. */
static void explain_loss(const struct store_job *job, const struct record *record,
	const struct proof *proof, struct record_frame *frame, char reason[REASON_BYTES_MAX + 1])
{
	char ended[96];
	bool is_overdue = job->run && job->run->is_killing;
	proof_text(proof, ended, sizeof(ended));
	if (is_overdue) {
		frame->result.outcome = OUTCOME_TIMED_OUT;
		snprintf(reason, REASON_BYTES_MAX + 1,
			"timed out after %llu s in step %.60s; its runner hung and was "
			"killed%s%s%.140s",
			(unsigned long long)(record->deadline_ms / 1000), record->stage, ended,
			proof->left_count > 0 ? "; " : "", proof->left);
	} else {
		snprintf(reason, REASON_BYTES_MAX + 1,
			"its runner died in step %.60s, so how it ended is not known%s%s%.140s",
			record->stage[0] ? record->stage : "start", ended,
			proof->left_count > 0 ? "; " : "", proof->left);
	}
	frame->result.reason = text_of(reason);
	frame->result.method = text_of(proof->method);
	frame->result.ended_count = proof->ended_count;
	frame->result.ended_ms = proof->ended_ms;
	frame->result.left_count = proof->left_count;
	frame->result.left = text_of(proof->left);
}

static void look_until_told(struct unit *unit, const char *name, int64_t since_wall_ms)
{
	struct mono until = mono_after(mono_now(), ACTIVATION_SILENT_MS);
	for (;;) {
		unit_look(unit, name, since_wall_ms);
		if (unit->state != UNIT_SILENT || mono_reached(mono_now(), until))
			return;
		poll(NULL, 0, UNIT_LOOK_MS);
	}
}

/* The runner is dead and what it began may go on outside its tree: until that has ended the run has
 * not either, and no other starts. */
static int settle_outside(struct store_job *job, const struct record *record,
	struct record_frame *frame, char reason[REASON_BYTES_MAX + 1])
{
	const struct op *op = ops_find(text_of(record->command), PROTOCOL_WEBSOCKET);
	struct unit unit = {0};
	size_t at;
	if (!op || !op->outside_unit || strcmp(job->config->manager, "nixos") != 0)
		return 0;
	look_until_told(&unit, op->outside_unit, record->started_wall_ms);
	switch (unit.state) {
	case UNIT_ABSENT:
	case UNIT_IDLE: return 0;
	case UNIT_SILENT:
		/* Not for ever: the next one asks again before it begins. */
		at = strlen(reason);
		snprintf(reason + at, REASON_BYTES_MAX + 1 - at,
			"; systemctl does not say whether an activation goes on in %.80s",
			op->outside_unit);
		frame->result.reason = text_of(reason);
		return 0;
	case UNIT_ACTIVE: errno = EBUSY; return fail(job, op->outside_unit);
	case UNIT_ENDED: break;
	}
	frame->result.outcome = OUTCOME_EXITED;
	frame->result.code = unit.code;
	*reason = '\0';
	if (unit.code != 0)
		snprintf(reason, REASON_BYTES_MAX + 1,
			"its runner died; the activation in %s exited %d", op->outside_unit,
			(int)unit.code);
	frame->result.reason = text_of(reason);
	return 0;
}

/* What a dead runner left: its tree is ended first, then the record says what is known. */
static int settle(struct store_job *job, const char *name, int fd, struct record *record)
{
	char reason[REASON_BYTES_MAX + 1];
	struct orphans orphans = {.run = text_of(name),
		.keeper = job->parent,
		.known = job->known,
		.known_count = job->known_count};
	int64_t now = wall_ms(wall_now());
	bool is_other_boot = is_of_another_boot(record);
	struct record_frame frame = {.type = RECORD_RESULT,
		.result = {.outcome = is_other_boot ? OUTCOME_INTERRUPTED : OUTCOME_LOST,
			.method = text_of("none"),
			.took_ms = now > record->started_wall_ms
					   ? (uint64_t)(now - record->started_wall_ms)
					   : 0,
			.wall_ms = now}};
	if (is_other_boot && strcmp(record->command, "reboot") == 0) {
		frame.result.outcome = OUTCOME_EXITED;
	} else if (is_other_boot) {
		frame.result.reason = text_of("the machine was started anew while it ran");
	} else if (getppid() != job->parent) {
		errno = ECANCELED; /* the next supervisor looks for itself, and may be among them */
		return fail(job, "settle");
	} else {
		orphans_end(record, &orphans);
		explain_loss(job, record, &orphans.proof, &frame, reason);
		if (settle_outside(job, record, &frame, reason) < 0)
			return -1;
	}
	if (append(job, fd, record, &frame) < 0)
		return -1;
	record_folder_remove(job->runs, name, ".ctl");
	return make_durable(job, fd, record);
}

static int act_settle(struct store_job *job)
{
	struct record record;
	own_fd fd = record_folder_open(job->runs, job->run->name, O_RDWR);
	if (fd < 0)
		return fail(job, "open of the record");
	bool is_live = flock(fd, LOCK_EX | LOCK_NB) < 0;
	if (is_live && errno != EWOULDBLOCK)
		return fail(job, "flock of the record");
	if (record_read(fd, &record) < 0)
		return fail(job, "read of the record");
	if (!is_live && record.state == RECORD_RUNNING &&
		settle(job, job->run->name, fd, &record) < 0)
		return -1;
	/* The runner died over a disk that did not take its result. */
	if (!is_live && record.state == RECORD_FINISHED && make_durable(job, fd, &record) < 0)
		return -1;
	say_found(job, text_of(job->run->name), &record, is_live);
	return 0;
}

/* Only the process that wrote the record: the same number may be another's by now. That it is gone
 * is ESRCH. */
static int signal_runner(struct store_job *job, int fd, int number)
{
	struct record record;
	char boot[BOOT_ID_BYTES];
	if (record_read(fd, &record) < 0)
		return fail(job, "read of the record");
	platform_boot_id(boot);
	bool is_same = record.state == RECORD_RUNNING && record.pid > 1 &&
		       record.start_ticks != 0 && strcmp(boot, record.boot) == 0 &&
		       platform_start_ticks((pid_t)record.pid) == record.start_ticks;
	if (!is_same)
		errno = ESRCH;
	return !is_same || kill((pid_t)record.pid, number) < 0 ? fail(job, "kill of the runner")
							       : 0;
}

/* The runner outlived every limit and is no child of the supervisor's. */
static int act_end(struct store_job *job)
{
	own_fd fd = record_folder_open(job->runs, job->run->name, O_RDWR);
	if (fd < 0)
		return fail(job, "open of the record");
	if (signal_runner(job, fd, SIGKILL) < 0 && errno != ESRCH)
		return -1;
	struct mono until = mono_after(mono_now(), TREE_EMPTY_MS);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0 && !mono_reached(mono_now(), until))
		poll(NULL, 0, LOCK_LOOK_MS);
	fd_drop(&fd);
	return act_settle(job);
}

/* The runner had no inode for its FIFO, or no descriptor: a signal says the same. */
static int cancel_without_fifo(struct store_job *job)
{
	own_fd fd = record_folder_open(job->runs, job->run->name, O_RDONLY);
	if (fd < 0)
		return fail(job, "open of the record");
	return signal_runner(job, fd, job->byte == 'k' ? RUNNER_KILL_SIGNAL : RUNNER_CANCEL_SIGNAL);
}

/* The byte for the runner. */
static int act_cancel(struct store_job *job)
{
	char name[RUN_NAME_BYTES_MAX + 8];
	snprintf(name, sizeof(name), "%s.ctl", job->run->name);
	own_fd fd = openat(job->runs, name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENXIO))
		return cancel_without_fifo(job);
	if (fd < 0)
		return fail(job, "open of the runner's FIFO");
	return fd_write_all(fd, &job->byte, 1) < 0 ? fail(job, "write to the runner") : 0;
}

static int act_token(struct store_job *job)
{
	char path[PATH_BYTES_MAX + 1], above[PATH_BYTES_MAX + 1];
	snprintf(path, sizeof(path), "%s", job->config->token_cache);
	snprintf(above, sizeof(above), "%s", path);
	own_fd folder = open(dirname(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail(job, "open of the token's folder");
	const char *name = basename(path);
	if (!*job->token)
		return unlinkat(folder, name, 0) < 0 && errno != ENOENT
			       ? fail(job, "unlink of the token")
			       : 0;
	return fd_replace_file(folder, name, job->token, strlen(job->token), 0600) < 0
		       ? fail(job, "write of the token")
		       : 0;
}

static int act_flight(struct store_job *job)
{
	if (job->flight < 0)
		return 0;
	void *memory = mmap(NULL, FLIGHT_BYTES, PROT_READ, MAP_SHARED, job->flight, 0);
	if (memory == MAP_FAILED)
		return fail(job, "mmap of the flight recorder");
	return fd_replace_file(job->state, "flight", memory, FLIGHT_BYTES, 0600) < 0
		       ? fail(job, "write of the flight recorder")
		       : 0;
}

/* `RUN OFFSET`. What is lost of it is sent once more, so nothing waits for the medium. */
static int act_sent(struct store_job *job)
{
	char text[RUN_NAME_BYTES_MAX + 32];
	int size = snprintf(text, sizeof(text), "%s %" PRIu64 "\n", job->run->name, job->run->sent);
	own_fd fd = openat(job->state, SENT_TEMPORARY,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fd_write_all(fd, text, (size_t)size) < 0 ||
		renameat(job->state, SENT_TEMPORARY, job->state, SENT_NAME) < 0)
		return fail(job, "write of what was sent");
	return 0;
}

static int act_pause(struct store_job *job)
{
	return kept_write(job->state, job->pause, job->pause_left_ms) < 0
		       ? fail(job, "write of the settings")
		       : 0;
}

static void read_sent(struct store_job *job)
{
	char text[RUN_NAME_BYTES_MAX + 32];
	ssize_t size = fd_read_file(job->state, SENT_NAME, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	if (sscanf(text, "%128s %" SCNu64, job->sent_run, &job->sent) != 2)
		job->sent_run[0] = '\0';
}

/* ---- all records ---- */

static bool is_unfinished(const struct record_entry *entry)
{
	return entry->record.state != RECORD_FINISHED;
}

static bool is_wanted(const struct store_job *job, const struct record_entry *entry)
{
	const struct record *record = &entry->record;
	return is_unfinished(entry) ||
	       (record->told == RECORD_NOT_TOLD && record->origin == ORIGIN_DASHBOARD &&
		       strcmp(record->dashboard, job->config->url) == 0);
}

#define SCAN_WANTED_MAX (RUNS_KNOWN_MAX - 16)
#define SCAN_NEWEST     8

/* The newest that ended of each command: how the host stands. */
static void mark_last(struct record_list *list)
{
	const char *seen[RULES_HISTORY_MAX];
	uint32_t count = 0;
	for (uint32_t i = list->count; i > 0 && count < RULES_HISTORY_MAX; i--) {
		struct record_entry *entry = &list->entries[i - 1];
		bool is_seen = !rules_is_history(&entry->record);
		for (uint32_t at = 0; at < count && !is_seen; at++)
			is_seen = strcmp(seen[at], entry->record.command) == 0;
		if (is_seen)
			continue;
		seen[count++] = entry->record.command;
		entry->is_last = true;
	}
}

/* Who wrote it may have died before its fsync: what is found is made durable before anything is
 * built on it. */
static int make_safe(struct store_job *job, const struct record_entry *entry)
{
	bool is_built_on = entry->record.state == RECORD_WAITING ||
			   (entry->record.state == RECORD_FINISHED && is_wanted(job, entry));
	if (!is_built_on)
		return 0;
	own_fd fd = record_folder_open(job->runs, entry->name, O_RDWR);
	return fd < 0 ? fail(job, "open of the record") : make_durable(job, fd, &entry->record);
}

/* It stayed with what it could not end, and with it the place of the command. */
static bool has_runner(const struct record_entry *entry, const char *boot)
{
	const struct record *record = &entry->record;
	return record->state == RECORD_FINISHED && record->pid > 1 && record->start_ticks != 0 &&
	       strcmp(record->boot, boot) == 0 &&
	       platform_start_ticks((pid_t)record->pid) == record->start_ticks;
}

/* Records are sorted, oldest first: of what is owed as much as fits, and in any case what is
 * unfinished, what has a runner still, and the newest. */
static int find_all(struct store_job *job, struct record_list *list)
{
	char boot[BOOT_ID_BYTES];
	uint32_t said = 0;
	platform_boot_id(boot);
	for (uint32_t i = 0; i < list->count; i++) {
		struct record_entry *entry = &list->entries[i];
		bool is_needed = is_unfinished(entry) || i + SCAN_NEWEST >= list->count ||
				 entry->is_last || has_runner(entry, boot);
		if (entry->record.sequence > job->sequence)
			job->sequence = entry->record.sequence;
		/* Later the supervisor asks for that itself: it may have the result, which the disk
		 * does not take yet. */
		if (!job->is_scanned && !entry->is_live && entry->record.state == RECORD_RUNNING) {
			own_fd fd = record_folder_open(job->runs, entry->name, O_RDWR);
			if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
				settle(job, entry->name, fd, &entry->record);
		}
		if (!is_wanted(job, entry) && !is_needed)
			continue;
		if (said >= SCAN_WANTED_MAX && !is_needed) {
			job->is_more = true;
			continue;
		}
		if (make_safe(job, entry) < 0)
			return -1;
		said++;
		say_found(job, text_of(entry->name), &entry->record, entry->is_live);
	}
	return 0;
}

static int act_scan(struct store_job *job)
{
	struct record_list list;
	if (fd_sync(job->runs) < 0)
		return fail(job, "fsync of the folder");
	if (record_folder_list(job->runs, &list) < 0)
		return fail(job, "read of the folder");
	mark_last(&list);
	read_sent(job);
	job->is_more = list.is_cut;
	job->is_unsettled = list.is_unsettled;
	int done = find_all(job, &list);
	int kept = errno;
	record_folder_finish(&list);
	errno = kept;
	return done;
}

/* Output goes first, oldest first; then whole records. Owed and unfinished ones never. */
static int act_retain(struct store_job *job)
{
	struct record_list list;
	uint64_t total = 0;
	if (record_folder_list(job->runs, &list) < 0)
		return fail(job, "read of the folder");
	for (uint32_t i = 0; i < list.count; i++)
		total += list.entries[i].output_bytes + RECORD_BYTES;
	for (uint32_t i = 0; i < list.count && total > RUNS_KEPT_BYTES_MAX; i++) {
		struct record_entry *entry = &list.entries[i];
		if (is_wanted(job, entry) || entry->is_live || entry->output_bytes == 0)
			continue;
		record_folder_remove(job->runs, entry->name, ".out");
		total -= entry->output_bytes;
	}
	uint32_t left = list.count;
	for (uint32_t i = 0; i < list.count && left > RUNS_KEPT_MAX; i++) {
		struct record_entry *entry = &list.entries[i];
		if (is_wanted(job, entry) || entry->is_live)
			continue;
		record_folder_remove(job->runs, entry->name, ".out");
		record_folder_remove(job->runs, entry->name, ".run");
		left--;
	}
	record_folder_finish(&list);
	return 0;
}

static int (*const acts[])(struct store_job *job) = {
	[ACT_SCAN] = act_scan,
	[ACT_ACCEPT] = act_accept,
	[ACT_SETTLE] = act_settle,
	[ACT_KEEP] = act_keep,
	[ACT_MARK] = act_mark,
	[ACT_CANCEL] = act_cancel,
	[ACT_END] = act_end,
	[ACT_TOKEN] = act_token,
	[ACT_RETAIN] = act_retain,
	[ACT_FLIGHT] = act_flight,
	[ACT_SENT] = act_sent,
	[ACT_PAUSE] = act_pause,
};

void store_child_keep_only(struct store_job *job)
{
	int kept[4] = {job->out, job->runs, job->state, job->flight};
	int high[4];
	for (int i = 0; i < 4; i++)
		high[i] = kept[i] < 0 ? -1 : fcntl(kept[i], F_DUPFD_CLOEXEC, 16);
	for (int i = 0; i < 4; i++) {
		if (high[i] >= 0)
			dup2(high[i], 3 + i);
		else
			close(3 + i);
	}
	platform_close_from(7);
	job->out = 3;
	job->runs = 4;
	job->state = 5;
	job->flight = high[3] >= 0 ? 6 : -1;
}

/* What it writes is what its supervisor knew: the next one has perhaps written something newer. */
static bool ends_with_supervisor(enum rules_act act)
{
	return act == ACT_TOKEN || act == ACT_PAUSE || act == ACT_SENT || act == ACT_FLIGHT;
}

void store_child_run(struct store_job *job)
{
	/* Where a disk holds it up, the signal comes before its next call. */
	if (ends_with_supervisor(job->act) && !platform_die_with_parent(job->parent))
		return;
	int error = acts[job->act](job) < 0 ? errno : 0;
	say(job, &(struct stored){.type = STORED_DONE,
			 .done = {.error = (uint64_t)error,
				 .call = error ? text_of(job->call ? job->call : "?") : TEXT_NONE,
				 .sequence = job->sequence,
				 .more = job->is_more,
				 .again = job->is_unsettled}});
}
