/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the records say that were there before this process, and what waits for that. */
#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

void runs_take_record(struct rules_run *run, const struct record *record)
{
	const struct op *op;
	text_copy(text_of(record->command), run->command, sizeof(run->command));
	text_copy(text_of(record->reason), run->reason, sizeof(run->reason));
	text_copy(text_of(record->summary), run->summary, sizeof(run->summary));
	run->sequence = record->sequence;
	run->origin = record->origin;
	run->wall_ms = record->accepted_wall_ms;
	run->pid = (pid_t)record->pid;
	run->start_ticks = record->start_ticks;
	run->deadline_ms = record->deadline_ms;
	run->outcome = record->outcome;
	run->code = record->code;
	/* Restart and reboot have the same class whatever the protocol. */
	op = ops_find(text_of(record->command), PROTOCOL_WEBSOCKET);
	run->is_announced = op && op->class == OP_ANNOUNCED;
	run->may_go_outside = op && op->outside_unit;
}

/* A runner that is no child of ours, or not any more, holds the record. Its clock began with the
 * record's. Its end is watched; where that was said and the record is still held (by somebody who
 * reads it, or by a process that cannot be watched) it is asked again, and so it is where nobody
 * wrote yet that it began: who holds it then may be about to, or may be making it durable. */
void runs_adopt(struct rules *rules, uint32_t index, const struct record *record,
	struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	bool is_watched = run->is_adopted && run->pid == (pid_t)record->pid;
	struct mono started = mono_after((struct mono){0}, record->started_mono_ms);
	run->state = RUN_GOING;
	run->is_adopted = true;
	run->pid = (pid_t)record->pid;
	run->start_ticks = record->start_ticks;
	run->deadline_ms = record->deadline_ms;
	run->started = mono_earlier(started, rules->now);
	if (is_watched || run->is_killing || !runs_has_begun(run)) {
		runs_store_later(rules, run);
		return;
	}
	run->processes++;
	rules_emit(actions, ACTION_WATCH)->run = index;
}

/* A runner that is not watched may have stayed with what it could not end. */
void runs_watch_leftover(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	if (run->processes > 0 || run->pid <= 1)
		return;
	run->processes++;
	rules_emit(actions, ACTION_WATCH)->run = index;
}

/* Its dashboard was left while it kept its place, and is the configured one again. */
static void reclaim(struct rules_run *run, const struct rules_event *event)
{
	if (run->telling == TELLING_NONE && event->found.is_owed &&
		event->found.record->told == RECORD_NOT_TOLD)
		run->telling = TELLING_OWED;
}

void runs_found(struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	const struct record *record = event->found.record;
	uint32_t index = runs_find(rules, event->found.name);
	if (rules->is_scan_stale)
		return;
	history_note_record(rules, record);
	if (index != RULES_NO_RUN) { /* a later scan: this one is known */
		reclaim(&rules->runs[index], event);
		return;
	}
	index = runs_take_place(rules);
	if (index == RULES_NO_RUN) {
		rules->is_left_out = rules->is_left_out || event->found.is_owed;
		return;
	}
	struct rules_run *run = &rules->runs[index];
	text_copy(event->found.name, run->name, sizeof(run->name));
	runs_take_record(run, record);
	run->sent = event->found.sent;
	run->telling = event->found.is_owed ? TELLING_OWED : TELLING_NONE;
	if (record->told == RECORD_IS_DELIVERED)
		run->telling = TELLING_DONE;
	if (record->told == RECORD_IS_UNDELIVERABLE)
		run->telling = TELLING_FAILED;
	if (record->sequence > rules->sequence)
		rules->sequence = record->sequence;
	switch (record->state) {
	case RECORD_EMPTY:
	case RECORD_WAITING:
		if (event->found.is_live)
			runs_adopt(rules, index, record, actions);
		else
			run->state = RUN_QUEUED;
		break;
	case RECORD_RUNNING:
		if (event->found.is_live) {
			runs_adopt(rules, index, record, actions);
			break;
		}
		run->state = RUN_SETTLING; /* its tree did not end yet */
		run->retry = rules->now;
		break;
	case RECORD_FINISHED:
		run->state = RUN_ENDED;
		/* It was left out before because there were newer ones. */
		if (rules->is_scanned)
			run->history_epoch = rules->worker.epoch;
		if (event->found.is_this_boot)
			run->started = mono_after((struct mono){0}, record->started_mono_ms);
		runs_watch_leftover(rules, index, actions);
		break;
	}
}

void runs_scan(struct rules *rules, struct rules_actions *actions)
{
	rules->is_scanning = true;
	rules->scan++;
	rules->scan_retry = MONO_NEVER;
	rules_emit_store(actions, ACT_SCAN, RULES_NO_RUN);
}

static uint32_t oldest_held(const struct rules *rules)
{
	uint32_t oldest = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_ACCEPTING && run->is_held &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	return oldest;
}

/* What was asked for while the records were read gets its numbers, in the order of asking. */
static void accept_held(struct rules *rules, uint64_t highest, struct rules_actions *actions)
{
	uint32_t index;
	uint64_t sequence = highest;
	while ((index = oldest_held(rules)) != RULES_NO_RUN) {
		struct rules_run *run = &rules->runs[index];
		run->is_held = false;
		run->sequence = ++sequence;
		/* Only now is it known what goes on. */
		if (run->outcome == OUTCOME_NONE &&
			runs_find_busy_refusal(rules, run, run->origin, rules->refusal)) {
			run->outcome = OUTCOME_REFUSED;
			run->code = REFUSAL_BUSY;
			text_copy(text_of(rules->refusal), run->reason, sizeof(run->reason));
		}
		if (runs_has_room(actions))
			runs_store(rules, index, ACT_ACCEPT, actions);
		else
			run->retry = rules->now;
	}
	if (sequence > rules->sequence)
		rules->sequence = sequence;
}

void runs_scanned(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	rules->is_scanning = false;
	if (event->stored.error != 0 || rules->is_scan_stale) {
		rules->scan_retry = mono_after(
			rules->now, rules->is_scan_stale ? 0 : RETRY_FIRST_MS);
		rules->is_scan_stale = false;
		return;
	}
	bool is_first = !rules->is_scanned;
	rules->is_scanned = true;
	rules->is_more_owed = event->stored.is_more || rules->is_left_out;
	rules->is_left_out = false;
	if (event->stored.is_unsettled)
		rules->scan_retry = mono_after(rules->now, STORE_SLOW_MS);
	/* A worker that was quicker than the disk has not heard of it. */
	if (is_first)
		history_tell(rules, actions);
	if (is_first)
		leave_found(rules);
	/* One that is just being made for the agent before has a number that is not known yet. */
	accept_held(rules,
		event->stored.sequence + (event->stored.is_unsettled ? STORE_CHILDREN_MAX : 0),
		actions);
	runs_worker_ready(rules, actions);
	runs_go_on(rules, actions);
}
