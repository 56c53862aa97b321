/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A store child, act by act in the order of supervisor/store_child.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/process.h"

#define LOCK_AGAIN_NS (5 * NS_PER_MS)

enum store_step {
	STORE_OPENS,
	STORE_LOCKS,
	STORE_WRITES,
	STORE_SYNCS,
	STORE_SYNCS_FOLDER,
	STORE_DONE,
};

uint32_t store_start(struct sim *sim, const struct rules_run *run, uint32_t index,
	enum rules_act act, uint8_t byte)
{
	struct process *process = process_add(sim, PROCESS_STORE);
	process->act = act;
	process->run = index;
	process->byte = byte;
	if (run)
		process->copy = *run;
	if (act == ACT_ACCEPT)
		process->ticket = supervisor_ticket(sim, run);
	snprintf(process->token, sizeof(process->token), "%s", supervisor_token(sim));
	process->pause = supervisor_pause_to_keep(sim);
	process->is_scanned = supervisor_is_scanned(sim);
	process_next(sim, process, NS_PER_MS / 2 + sim_random(sim, 3 * NS_PER_MS));
	return process->id;
}

static void say(struct sim *sim, struct process *process, struct rules_event event,
	const struct record *record)
{
	event.stored.act = process->act;
	event.stored.run = process->run;
	supervisor_post(sim, process->incarnation, &event, record);
}

/* It is durable now, and somebody will build on that. */
static void note_truth(struct sim *sim, struct process *process)
{
	struct truth *truth = &process->file->truth;
	bool is_refused = process->copy.outcome == OUTCOME_REFUSED ||
			  (process->copy.outcome == OUTCOME_CANCELLED && truth->executions == 0);
	if (process->act == ACT_ACCEPT && !truth->is_accepted) {
		truth->is_accepted = true;
		sim->counts.accepted++;
	}
	if ((process->act == ACT_ACCEPT || process->act == ACT_KEEP) && is_refused)
		truth->is_refused = true;
	if (truth->is_refused && truth->ended_at == 0)
		truth->ended_at = sim->now;
	if (process->act == ACT_MARK) {
		truth->is_marked = true;
		truth->marked_at = sim->now;
		truth->marked_incarnation = process->incarnation;
		session_expect_leave(sim, process->file, process->incarnation);
	}
}

static void done(struct sim *sim, struct process *process, int error)
{
	struct rules_event event = {.type = EVENT_STORED, .stored = {.error = error}};
	if (error == 0 && process->file)
		note_truth(sim, process);
	process->step = STORE_DONE;
	say(sim, process, event, NULL);
	process->is_told = true;
	process_end(sim, process);
}

static void go_on(struct sim *sim, struct process *process, enum store_step step)
{
	process->step = step;
	process_next(sim, process, 10000 + sim_random(sim, NS_PER_MS));
}

static void open_file(struct sim *sim, struct process *process)
{
	process->file = process->act == ACT_ACCEPT ? disk_make(sim, process->copy.name)
						   : disk_find(&sim->disk, process->copy.name);
	bool is_there = process->file && process->file->is_there;
	if (!is_there && process->act == ACT_KEEP)
		done(sim, process, 0);
	else if (!is_there || !process_disk_works(sim))
		done(sim, process, EIO);
	else
		go_on(sim, process, STORE_LOCKS);
	if (process->kind != PROCESS_NONE && process->ticket) {
		process->file->truth.ticket = process->ticket;
		process->file->truth.may_end |= session_may_end(sim, process->ticket);
		process->file->truth.is_poison = sim_chance(sim, sim->faults.poison);
	}
}

static bool is_begun_by_another(const struct process *process, const struct record *record)
{
	return record->state == RECORD_RUNNING && record->pid != (uint64_t)process->copy.pid;
}

static void lock_file(struct sim *sim, struct process *process)
{
	struct file *file = process->file;
	if (process->act == ACT_KEEP && is_begun_by_another(process, disk_read(file))) {
		done(sim, process, EEXIST);
		return;
	}
	if (file->lock != 0) {
		process_next(sim, process, LOCK_AGAIN_NS);
		return;
	}
	if (!file->is_there) { /* set aside meanwhile */
		done(sim, process, ESTALE);
		return;
	}
	file->lock = process->id;
	process->record = *disk_read(file);
	bool is_orphan = process->incarnation != supervisor_incarnation(sim) ||
			 !supervisor_is_up(sim);
	if (process->act == ACT_ACCEPT && process->record.state == RECORD_EMPTY && is_orphan) {
		done(sim, process, ECANCELED);
		return;
	}
	go_on(sim, process, STORE_WRITES);
}

static bool append(struct sim *sim, struct process *process, const struct record_frame *frame)
{
	return process_disk_works(sim) && disk_append(process->file, &process->record, frame);
}

static struct record_frame result_frame(const struct rules_run *run)
{
	return (struct record_frame){.type = RECORD_RESULT,
		.result = {.outcome = run->outcome,
			.code = run->code,
			.reason = text_of(run->reason),
			.summary = text_of(run->summary),
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
}

static bool write_accept(struct sim *sim, struct process *process)
{
	const struct rules_run *run = &process->copy;
	struct record_frame accepted = {.type = RECORD_ACCEPTED,
		.accepted = {.sequence = run->sequence,
			.command = text_of(run->command),
			.origin = run->origin,
			.dashboard = text_of(run->origin == ORIGIN_DASHBOARD ? "https://d" : ""),
			.wall_ms = run->wall_ms}};
	struct record_frame refused = result_frame(run);
	if (process->record.state == RECORD_EMPTY && !append(sim, process, &accepted))
		return false;
	return run->outcome != OUTCOME_REFUSED || process->record.state != RECORD_WAITING ||
	       append(sim, process, &refused);
}

static bool write_keep(struct sim *sim, struct process *process)
{
	struct record_frame frame = result_frame(&process->copy);
	return process->record.state == RECORD_FINISHED || process->record.state == RECORD_EMPTY ||
	       append(sim, process, &frame);
}

static bool write_mark(struct sim *sim, struct process *process)
{
	struct record_frame frame = {.type = RECORD_DELIVERED};
	if (process->copy.undeliverable[0])
		frame = (struct record_frame){.type = RECORD_UNDELIVERABLE,
			.undeliverable = {.reason = text_of(process->copy.undeliverable)}};
	return process->record.told != RECORD_NOT_TOLD || append(sim, process, &frame);
}

static void write_file(struct sim *sim, struct process *process)
{
	const struct record *record = &process->record;
	const struct rules_run *run = &process->copy;
	bool is_other = record->state == RECORD_FINISHED &&
			(record->outcome != run->outcome || record->code != run->code);
	if (process->act == ACT_KEEP && (is_begun_by_another(process, record) || is_other)) {
		done(sim, process, EEXIST);
		return;
	}
	bool is_good = process->act == ACT_ACCEPT ? write_accept(sim, process)
		       : process->act == ACT_KEEP ? write_keep(sim, process)
						  : write_mark(sim, process);
	/* What a child before this one wrote may be on no disk though its pages are clean. */
	disk_rewrite(process->file, &process->record);
	if (is_good)
		go_on(sim, process, STORE_SYNCS);
	else
		done(sim, process, ENOSPC);
}

static void sync_file(struct sim *sim, struct process *process)
{
	bool is_good = process_disk_works(sim);
	disk_sync(process->file, is_good);
	if (!is_good)
		done(sim, process, EIO);
	else
		go_on(sim, process, process->act == ACT_ACCEPT ? STORE_SYNCS_FOLDER : STORE_DONE);
}

/* What is known of a run whose runner is dead. False: the disk does not take it. */
static bool settle(struct sim *sim, struct file *file, struct record *record)
{
	char boot[32];
	snprintf(boot, sizeof(boot), "boot-%u", (unsigned)sim->boot);
	bool is_other_boot = strcmp(boot, record->boot) != 0;
	struct record_frame frame = {.type = RECORD_RESULT,
		.result = {.outcome = is_other_boot ? OUTCOME_INTERRUPTED : OUTCOME_LOST,
			.reason = text_of("its runner died"),
			.summary = TEXT_NONE,
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
	if (!process_disk_works(sim) || !disk_append(file, record, &frame))
		return false;
	disk_rewrite(file, record);
	bool is_good = process_disk_works(sim);
	disk_sync(file, is_good);
	return is_good;
}

static void settle_run(struct sim *sim, struct process *process)
{
	struct record record;
	struct file *file = disk_find(&sim->disk, process->copy.name);
	if (!file || !file->is_there || !process_disk_works(sim)) {
		done(sim, process, EIO);
		return;
	}
	bool is_live = file->lock != 0;
	record = *disk_read(file);
	bool is_good = true;
	if (!is_live && record.state == RECORD_RUNNING) {
		is_good = settle(sim, file, &record);
	} else if (!is_live && record.state == RECORD_FINISHED) {
		disk_rewrite(file, &record);
		is_good = process_disk_works(sim);
		disk_sync(file, is_good);
	}
	if (!is_good) {
		done(sim, process, EIO);
		return;
	}
	say(sim, process,
		(struct rules_event){.type = EVENT_STORED, .stored = {.is_live = is_live}},
		&record);
	process->is_told = true;
	process_end(sim, process);
}

static void end_hung(struct sim *sim, struct process *process)
{
	struct record record;
	struct file *file = disk_find(&sim->disk, process->copy.name);
	if (process->step == STORE_OPENS && file) {
		record = *disk_read(file);
		struct process *runner = process_runner(sim, record.pid);
		if (runner && record.start_ticks == runner->id * 7ull)
			process_kill(sim, runner->id);
		go_on(sim, process, STORE_LOCKS);
		return;
	}
	settle_run(sim, process);
}

/* A child that accepted it may have died before its fsync: what is found is made safe first. */
static bool make_safe(struct sim *sim, struct file *file, const struct record *record)
{
	bool is_owed = record->state == RECORD_FINISHED && record->told == RECORD_NOT_TOLD;
	if (record->state != RECORD_WAITING && !is_owed)
		return true;
	disk_rewrite(file, record);
	bool is_good = process_disk_works(sim);
	disk_sync(file, is_good);
	if (is_good && record->state == RECORD_FINISHED && file->truth.executions == 0) {
		file->truth.is_refused = true;
		file->truth.ended_at = file->truth.ended_at ? file->truth.ended_at : sim->now;
	}
	if (is_good && !file->truth.is_accepted) {
		file->truth.is_accepted = true;
		sim->counts.accepted++;
	}
	return is_good;
}

static bool find_one(
	struct sim *sim, struct process *process, struct file *file, bool *is_unsettled)
{
	char boot[32];
	struct record record;
	struct rules_event event = {.type = EVENT_FOUND};
	record = *disk_read(file);
	if (record.state == RECORD_EMPTY && file->lock == 0) {
		sim_check(sim, !file->truth.is_accepted, "%s was accepted and is gone", file->name);
		disk_remove(file); /* set aside */
	}
	if (record.state == RECORD_EMPTY && file->lock != 0)
		*is_unsettled = true;
	if (record.state == RECORD_EMPTY || record.is_foreign)
		return true;
	if (!process->is_scanned && record.state == RECORD_RUNNING && file->lock == 0)
		settle(sim, file, &record);
	if (!make_safe(sim, file, &record))
		return false;
	snprintf(boot, sizeof(boot), "boot-%u", (unsigned)sim->boot);
	event.found.name = text_of(file->name);
	event.found.is_this_boot = strcmp(record.boot, boot) == 0;
	event.found.is_live = file->lock != 0;
	event.found.is_owed = record.origin == ORIGIN_DASHBOARD;
	supervisor_post(sim, process->incarnation, &event, &record);
	return true;
}

/* The newest of its command that ended, whatever was refused after it. */
static bool is_last(struct sim *sim, uint32_t index, const struct record *record)
{
	if (!rules_is_history(record))
		return false;
	for (uint32_t i = index + 1; i < sim->disk.count; i++) {
		if (!sim->disk.files[i]->is_there)
			continue;
		const struct record *other = disk_read(sim->disk.files[i]);
		if (rules_is_history(other) && strcmp(other->command, record->command) == 0)
			return false;
	}
	return true;
}

static void scan(struct sim *sim, struct process *process)
{
	struct rules_event event = {.type = EVENT_STORED};
	if (!process_disk_works(sim)) {
		done(sim, process, EIO);
		return;
	}
	disk_sync_folder(&sim->disk);
	uint32_t said = 0;
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct file *file = sim->disk.files[i];
		if (!file->is_there)
			continue;
		const struct record *record = disk_read(file);
		if (record->sequence > event.stored.sequence)
			event.stored.sequence = record->sequence;
		bool is_wanted = record->state != RECORD_FINISHED ||
				 (record->told == RECORD_NOT_TOLD &&
					 record->origin == ORIGIN_DASHBOARD);
		bool is_new = i + 8 >= sim->disk.count || is_last(sim, i, record) ||
			      process_runner(sim, record->pid);
		event.stored.is_more |= is_wanted && said == RUNS_KNOWN_MAX - 16 && !is_new;
		if ((!is_wanted || said == RUNS_KNOWN_MAX - 16) && !is_new)
			continue;
		said++;
		if (!find_one(sim, process, file, &event.stored.is_unsettled)) {
			done(sim, process, EIO);
			return;
		}
	}
	say(sim, process, event, NULL);
	process->is_told = true;
	process_end(sim, process);
}

static void on_record(struct sim *sim, struct process *process)
{
	switch ((enum store_step)process->step) {
	case STORE_OPENS: open_file(sim, process); break;
	case STORE_LOCKS: lock_file(sim, process); break;
	case STORE_WRITES: write_file(sim, process); break;
	case STORE_SYNCS: sync_file(sim, process); break;
	case STORE_SYNCS_FOLDER:
		if (!process_disk_works(sim)) {
			done(sim, process, EIO);
			break;
		}
		disk_sync_folder(&sim->disk);
		go_on(sim, process, STORE_DONE);
		break;
	case STORE_DONE: done(sim, process, 0); break;
	}
}

static void keep_pause(struct sim *sim, struct process *process)
{
	bool is_good = process_disk_works(sim);
	if (is_good)
		sim->pause.kept = process->pause;
	done(sim, process, is_good ? 0 : EIO);
}

void store_step(struct sim *sim, struct process *process)
{
	switch (process->act) {
	case ACT_SCAN: scan(sim, process); break;
	case ACT_ACCEPT:
	case ACT_KEEP:
	case ACT_MARK: on_record(sim, process); break;
	case ACT_SETTLE: settle_run(sim, process); break;
	case ACT_END: end_hung(sim, process); break;
	case ACT_CANCEL:
		runner_signal(sim, process->copy.name, process->byte);
		done(sim, process, 0);
		break;
	case ACT_PAUSE: keep_pause(sim, process); break;
	case ACT_TOKEN:
	case ACT_RETAIN:
	case ACT_FLIGHT:
	case ACT_SENT: done(sim, process, process_disk_works(sim) ? 0 : EIO); break;
	}
}
