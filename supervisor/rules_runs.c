/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The runs: accepted on disk before anything else happens to them, queued, run one at a time,
 * settled from their record when nobody can say how they ended, and told until the dashboard has
 * them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

#define RETRY_FIRST_MS  1000
#define RETRY_LAST_MS   30000
#define RETAIN_EVERY_MS 60000
/* A step may look at every run; what it cannot say in one step stays due. */
#define ACTIONS_KEPT_FREE 8

bool runs_has_room(const struct rules_actions *actions)
{
	return actions->count + ACTIONS_KEPT_FREE < RULES_ACTIONS_MAX;
}

uint32_t rules_busy_run(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		switch (rules->runs[i].state) {
		case RUN_STARTING:
		case RUN_GOING:
		case RUN_SETTLING: return i;
		case RUN_FREE:
		case RUN_ACCEPTING:
		case RUN_QUEUED:
		case RUN_KEEPING:
		case RUN_ENDED: break;
		}
	}
	return RULES_NO_RUN;
}

uint32_t rules_leftover_run(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->processes > 0 && (run->state == RUN_ENDED || run->state == RUN_KEEPING))
			return i;
	}
	return RULES_NO_RUN;
}

/* What was asked for does not begin now. */
static bool is_held_up(const struct rules *rules)
{
	return rules->is_stopping || rules->pause.is_on || !rules->is_scanned ||
	       leave_is_under_way(rules) || rules->is_cloning ||
	       rules_busy_run(rules) != RULES_NO_RUN || rules_leftover_run(rules) != RULES_NO_RUN;
}

static uint32_t count_state(const struct rules *rules, enum run_state state)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rules->run_count; i++)
		count += rules->runs[i].state == state;
	return count;
}

uint32_t rules_count_queued(const struct rules *rules)
{
	return count_state(rules, RUN_QUEUED);
}

/* What the disk did not take yet: a command, a result, or that the dashboard has it. */
static bool is_only_here(const struct rules_run *run)
{
	return run->state == RUN_ACCEPTING || run->state == RUN_KEEPING ||
	       (run->state == RUN_ENDED && run->telling == TELLING_MARKING);
}

bool runs_are_storing(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].is_storing || is_only_here(&rules->runs[i]))
			return true;
	}
	return rules->token.is_storing || rules->pause.is_storing || rules->is_saving_flight;
}

uint32_t runs_find(const struct rules *rules, struct text name)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].state != RUN_FREE && text_is(name, rules->runs[i].name))
			return i;
	}
	return RULES_NO_RUN;
}

/* Accepted or about to be, and not started. */
static bool is_waiting(const struct rules_run *run)
{
	return run->state == RUN_QUEUED ||
	       (run->state == RUN_ACCEPTING && run->outcome == OUTCOME_NONE);
}

/* The run that is meant without a name: what goes on, else what is about to. except: not this. */
static uint32_t find_meant(const struct rules *rules, const struct rules_run *except)
{
	uint32_t oldest = rules_busy_run(rules);
	bool is_busy = oldest != RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count && !is_busy; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (is_waiting(run) && run != except && !(except && run->is_held) &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	return oldest;
}

/* Who reads the records may have read this one without its mark, and may still say that it is owed:
 * until then it must be known. */
static bool may_be_found_unmarked(const struct rules *rules, const struct rules_run *run)
{
	return rules->is_scanning && run->marked_scan == rules->scan;
}

/* A free place, or that of the oldest run of which nothing is left to do. */
static uint32_t take_place(struct rules *rules)
{
	uint32_t oldest = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_FREE) {
			oldest = i;
			break;
		}
		if (run->state == RUN_ENDED && !runs_is_owed(run) && !run->is_storing &&
			run->processes == 0 && i != rules->leave.run &&
			!may_be_found_unmarked(rules, run) &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	bool is_free = oldest != RULES_NO_RUN && rules->runs[oldest].state == RUN_FREE;
	if (!is_free && rules->run_count < RUNS_KNOWN_MAX)
		oldest = rules->run_count++;
	if (oldest != RULES_NO_RUN)
		rules->runs[oldest] = (struct rules_run){.retry = MONO_NEVER};
	return oldest;
}

void runs_store(
	struct rules *rules, uint32_t index, enum rules_act act, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	check(!run->is_storing);
	run->is_storing = true;
	run->retry = MONO_NEVER;
	rules_emit_store(actions, act, index);
	if (act != ACT_CANCEL)
		return;
	actions->list[actions->count - 1].store.byte = run->cancel;
	run->cancel_said = run->cancel;
	run->cancel = 0;
}

/* Somebody holds the record and has not said that it begins. */
static bool is_about_to_begin(const struct rules_run *run)
{
	return run->is_adopted && run->pid <= 1;
}

/* What the state of a run still wants from the disk. */
static enum rules_act wanted_act(const struct rules_run *run)
{
	switch (run->state) {
	case RUN_ACCEPTING: return ACT_ACCEPT;
	case RUN_KEEPING: return ACT_KEEP;
	case RUN_SETTLING: return ACT_SETTLE;
	case RUN_GOING:
		if (run->is_killing)
			return ACT_END;
		/* Who is about to begin listens later, or is none that will. */
		return run->cancel && !is_about_to_begin(run) ? ACT_CANCEL : ACT_SETTLE;
	case RUN_FREE:
	case RUN_QUEUED:
	case RUN_STARTING:
	case RUN_ENDED: break;
	}
	return ACT_MARK;
}

static void store_later(struct rules *rules, struct rules_run *run)
{
	uint64_t pause = (uint64_t)RETRY_FIRST_MS << (run->tries < 5 ? run->tries : 5u);
	if (rules->is_stopping) /* there is no later */
		pause = RETRY_FIRST_MS;
	run->tries++;
	run->retry = mono_after(rules->now, pause < RETRY_LAST_MS ? pause : RETRY_LAST_MS);
}

static void reply(
	const struct rules_run *run, bool is_good, struct text text, struct rules_actions *actions)
{
	if (run->client == RULES_NO_CLIENT)
		return;
	struct rules_action *action = rules_emit(actions, ACTION_REPLY);
	action->reply.client = run->client;
	action->reply.is_good = is_good;
	action->reply.text = text;
}

static void refuse_client(uint64_t client, const char *why, struct rules_actions *actions)
{
	struct rules_run nobody = {.client = client};
	reply(&nobody, false, text_of(why), actions);
}

/* ---- telling the worker ---- */

static void tell_started(
	struct rules *rules, const struct rules_run *run, struct rules_actions *actions)
{
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_STARTED,
			.started = {.run = text_of(run->name),
				.command = text_of(run->command),
				.pid = (uint64_t)run->pid,
				.sent = run->sent,
				.owed = run->telling != TELLING_NONE}});
}

/* Kept on the disk now and then: after a restart of the agent what was sent is not sent again. */
void runs_sent(
	struct rules *rules, struct text name, uint64_t offset, struct rules_actions *actions)
{
	uint32_t index = runs_find(rules, name);
	if (index == RULES_NO_RUN || offset <= rules->runs[index].sent)
		return;
	rules->runs[index].sent = offset;
	if (rules->is_saving_sent || !mono_reached(rules->now, rules->sent_next))
		return;
	rules->is_saving_sent = true;
	rules->sent_next = mono_after(rules->now, SENT_SAVE_MS);
	rules_emit_store(actions, ACT_SENT, index);
}

static_assert(RUNS_KNOWN_MAX <= 64, "a bit for each run");

/* Somebody's runner has the record; without its pid that has not begun it. */
static bool has_begun(const struct rules_run *run)
{
	return run->state == RUN_GOING && run->pid > 1;
}

/* What was asked for before the worker began, and waits, be it for the disk or for its runner's
 * turn: a stop means it. The oldest first. */
static void tell_waiting(struct rules *rules, struct rules_actions *actions)
{
	for (uint64_t told = 0; runs_has_room(actions);) {
		uint32_t oldest = RULES_NO_RUN;
		for (uint32_t i = 0; i < rules->run_count; i++) {
			const struct rules_run *run = &rules->runs[i];
			bool waits = is_waiting(run) ||
				     (run->state == RUN_GOING && !has_begun(run));
			if (waits && !(told >> i & 1) &&
				(oldest == RULES_NO_RUN ||
					rules->runs[i].sequence < rules->runs[oldest].sequence))
				oldest = i;
		}
		if (oldest == RULES_NO_RUN)
			return;
		told |= UINT64_C(1) << oldest;
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_ACCEPTED,
				.accepted = {.run = text_of(rules->runs[oldest].name),
					.command = text_of(rules->runs[oldest].command),
					.queued = true}});
	}
}

void runs_worker_ready(struct rules *rules, struct rules_actions *actions)
{
	tell_waiting(rules, actions);
	/* There is one, but for records that somebody else holds. */
	for (uint32_t i = 0; i < rules->run_count && runs_has_room(actions); i++) {
		if (has_begun(&rules->runs[i]))
			tell_started(rules, &rules->runs[i], actions);
	}
	runs_tell_owed(rules, actions);
}

static void cancel_waiting(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	run->cancel = 0;
	run->outcome = OUTCOME_CANCELLED;
	text_copy(text_of("cancelled before it started"), run->reason, sizeof(run->reason));
	run->state = RUN_KEEPING;
	runs_store(rules, index, ACT_KEEP, actions);
}

/* One act at a time is under way for a run; what came up meanwhile is wanted now. */
static void store_wanted(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	if (run->is_storing || run->retry.ns != MONO_NEVER.ns)
		return;
	if (run->state == RUN_SETTLING || run->state == RUN_KEEPING ||
		(run->state == RUN_ENDED && run->telling == TELLING_MARKING)) {
		runs_store(rules, index, wanted_act(run), actions);
	} else if (run->state == RUN_GOING && run->is_adopted && run->is_killing) {
		runs_store(rules, index, ACT_END, actions);
	} else if (run->state == RUN_GOING && run->cancel) {
		runs_store(rules, index, wanted_act(run), actions);
	} else if (run->state == RUN_QUEUED && run->cancel) {
		cancel_waiting(rules, index, actions);
	}
}

/* ---- running ---- */

/* What happens next with the queue: the oldest accepted command, when nothing else runs. */
static void start_next(struct rules *rules, struct rules_actions *actions)
{
	uint32_t oldest = RULES_NO_RUN;
	if (is_held_up(rules))
		return;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_QUEUED && !run->is_storing && !run->cancel &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	if (oldest == RULES_NO_RUN)
		return;
	struct rules_run *run = &rules->runs[oldest];
	run->state = RUN_STARTING;
	run->started = rules->now;
	run->is_adopted = run->is_killing = false;
	run->processes++;
	rules_emit(actions, ACTION_RUNNER_START)->run = oldest;
}

void runs_go_on(struct rules *rules, struct rules_actions *actions)
{
	start_next(rules, actions);
}

/* The outcome is in the record, or was refused there. */
static void run_ended(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	run->state = RUN_ENDED;
	run->tries = 0;
	run->retry = MONO_NEVER;
	history_note_run(rules, run);
	if (history_is_past(rules, run))
		history_tell(rules, actions);
	leave_announced(rules, index);
	if (!rules->is_retaining && mono_reached(rules->now, rules->retain_next)) {
		rules->is_retaining = true;
		rules_emit_store(actions, ACT_RETAIN, RULES_NO_RUN);
	}
	if (run->telling == TELLING_NONE)
		runs_tell_ended(rules, run, actions);
	runs_tell_owed(rules, actions);
	start_next(rules, actions);
}

static void take_record(struct rules_run *run, const struct record *record)
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
static void adopt(struct rules *rules, uint32_t index, const struct record *record,
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
	if (is_watched || run->is_killing || !has_begun(run)) {
		store_later(rules, run);
		return;
	}
	run->processes++;
	rules_emit(actions, ACTION_WATCH)->run = index;
}

/* A runner that is not watched may have stayed with what it could not end. */
static void watch_leftover(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	if (run->processes > 0 || run->pid <= 1)
		return;
	run->processes++;
	rules_emit(actions, ACTION_WATCH)->run = index;
}

void runs_found(struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	const struct record *record = event->found.record;
	uint32_t index = runs_find(rules, event->found.name);
	if (rules->is_scan_stale)
		return;
	history_note_record(rules, record);
	if (index != RULES_NO_RUN) /* a later scan: this one is known */
		return;
	index = take_place(rules);
	if (index == RULES_NO_RUN) {
		rules->is_left_out = rules->is_left_out || event->found.is_owed;
		return;
	}
	struct rules_run *run = &rules->runs[index];
	text_copy(event->found.name, run->name, sizeof(run->name));
	take_record(run, record);
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
			adopt(rules, index, record, actions);
		else
			run->state = RUN_QUEUED;
		break;
	case RECORD_RUNNING:
		if (event->found.is_live) {
			adopt(rules, index, record, actions);
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
		watch_leftover(rules, index, actions);
		break;
	}
}

void runs_runner_started(struct rules *rules, const struct rules_event *event)
{
	struct rules_run *run = &rules->runs[event->runner_started.run];
	run->pid = event->runner_started.pid;
	run->deadline_ms = event->runner_started.deadline_ms;
}

void runs_reported_start(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[event->runner_started.run];
	if (run->state != RUN_STARTING)
		return;
	run->state = RUN_GOING;
	run->started = rules->now;
	tell_started(rules, run, actions);
	store_wanted(rules, event->runner_started.run, actions);
}

void runs_reported_result(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	uint32_t index = event->result.run;
	struct rules_run *run = &rules->runs[index];
	if (run->state != RUN_GOING && run->state != RUN_STARTING)
		return;
	run->outcome = event->result.outcome;
	run->code = event->result.code;
	text_copy(event->result.reason, run->reason, sizeof(run->reason));
	text_copy(event->result.summary, run->summary, sizeof(run->summary));
	if (event->result.is_kept) {
		run_ended(rules, index, actions);
		return;
	}
	/* The runner's disk is sick: this is the only copy. It is told once the record has it. */
	run->state = RUN_KEEPING;
	/* A reboot does not wait for it, and lets no other command begin: with or without a result,
	 * the record says after the next boot that it was good. */
	if (ops_action(text_of(run->command)))
		leave_announced(rules, index);
	if (!run->is_storing)
		runs_store(rules, index, ACT_KEEP, actions);
}

static void runner_failed(
	struct rules *rules, uint32_t index, struct text why, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	run->outcome = OUTCOME_REFUSED;
	text_copy(why, run->reason, sizeof(run->reason));
	run->state = RUN_KEEPING;
	if (!run->is_storing)
		runs_store(rules, index, ACT_KEEP, actions);
}

void runs_runner_exited(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	uint32_t index = event->runner_exited.run;
	struct rules_run *run = &rules->runs[index];
	if (run->processes > 0)
		run->processes--;
	if (run->state != RUN_STARTING && run->state != RUN_GOING) {
		start_next(rules, actions); /* the place of what it left is free now */
		return;
	}
	if (event->runner_exited.why.size > 0) {
		runner_failed(rules, index, event->runner_exited.why, actions);
		return;
	}
	run->state = RUN_SETTLING;
	if (!run->is_storing)
		runs_store(rules, index, ACT_SETTLE, actions);
}

/* ---- asking ---- */

static bool is_known(const struct rules *rules, struct text command)
{
	enum protocol protocol = rules->protocol == PROTOCOL_NONE ? PROTOCOL_WEBSOCKET
								  : rules->protocol;
	const struct op *op = ops_find(command, protocol);
	if (op)
		return op->class == OP_COMMAND || op->class == OP_ANNOUNCED;
	for (uint32_t i = 0; i < rules->host_op_count; i++) {
		if (text_is(command, rules->host_ops[i]))
			return true;
	}
	return false;
}

/* Where every place is taken, the youngest outcome that no worker was told yet gives up its own: it
 * is on the disk, and read again when the others are told. A command that the dashboard gave away
 * is nowhere else. */
static uint32_t take_owed_place(struct rules *rules)
{
	uint32_t youngest = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_ENDED && run->telling == TELLING_OWED && !run->is_storing &&
			run->processes == 0 && run->worker_deaths == 0 && i != rules->leave.run &&
			(youngest == RULES_NO_RUN ||
				run->sequence > rules->runs[youngest].sequence))
			youngest = i;
	}
	if (youngest == RULES_NO_RUN)
		return youngest;
	rules->is_more_owed = true;
	rules->runs[youngest] = (struct rules_run){.retry = MONO_NEVER};
	return youngest;
}

/* Why a command cannot be taken, as the sentence that people will read; false when it can. */
static bool find_refusal(
	const struct rules *rules, struct text command, char reason[REASON_BYTES_MAX + 1])
{
	uint32_t waiting = 0;
	bool is_double = false;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		bool waits = is_waiting(run);
		waiting += waits;
		is_double = is_double || (waits && text_is(command, run->command));
	}
	if (!is_known(rules, command))
		snprintf(reason, REASON_BYTES_MAX, "Unknown command: %.*s", TEXT_ARGS(command));
	else if (is_double && is_held_up(rules))
		snprintf(reason, REASON_BYTES_MAX, "%.*s is already waiting in the queue",
			TEXT_ARGS(command));
	else if (waiting >= RUNS_QUEUED_MAX)
		snprintf(reason, REASON_BYTES_MAX, "the queue is full: %d commands wait",
			RUNS_QUEUED_MAX);
	else
		return false;
	return true;
}

/* Standalone and WebSocket hosts do one thing at a time and say so, also while the disk makes up
 * its mind about the first; over HTTP a command that the dashboard already gave away waits. A
 * person at nfctl is told at once either way. */
static bool find_busy_refusal(
	const struct rules *rules, const struct rules_run *asked, enum origin origin, char *reason)
{
	bool may_wait = rules->protocol == PROTOCOL_HTTP;
	uint32_t busy = may_wait ? rules_busy_run(rules) : find_meant(rules, asked);
	if (busy == RULES_NO_RUN || rules->runs[busy].is_held ||
		(may_wait && origin == ORIGIN_DASHBOARD))
		return false;
	snprintf(reason, REASON_BYTES_MAX, "%.64s is running: cancel it first, or wait",
		rules->runs[busy].command);
	return true;
}

/* Every place is live, as behind a disk that hangs: there can be no record either. The dashboard
 * has forgotten the command, so it is told by the worker that brought it, or by nobody. */
static void refuse_unkept(struct rules *rules, struct text command, uint64_t request, int64_t code,
	struct rules_actions *actions)
{
	record_make_name(wall_ms(rules->wall), command, rules_random(rules, UINT64_C(1) << 16),
		rules->unkept);
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_ACCEPTED,
			.accepted = {.request = request, .run = TEXT_NONE, .command = command}});
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_ENDED,
			.ended = {.run = text_of(rules->unkept),
				.command = command,
				.outcome = OUTCOME_REFUSED,
				.code = code,
				.reason = text_of(rules->refusal),
				.summary = TEXT_NONE,
				.owed = true}});
}

void runs_asked(struct rules *rules, struct text command, enum origin origin, uint64_t request,
	uint64_t client, struct rules_actions *actions)
{
	char *reason = rules->refusal; /* the actions of this step may point to it */
	*reason = '\0';
	bool is_impossible = find_refusal(rules, command, reason);
	bool is_refused = is_impossible || find_busy_refusal(rules, NULL, origin, reason);
	if (is_refused && origin == ORIGIN_LOCAL) {
		refuse_client(client, reason, actions);
		return;
	}
	if (!is_refused && rules->pause.is_on && rules->protocol == PROTOCOL_WEBSOCKET &&
		origin == ORIGIN_DASHBOARD) {
		is_impossible = is_refused = true;
		memcpy(reason, rules->pause.sentence, sizeof(rules->pause.sentence));
	}
	int64_t code = is_refused && !is_impossible ? REFUSAL_BUSY : 0;
	uint32_t index = take_place(rules);
	if (index == RULES_NO_RUN && origin == ORIGIN_DASHBOARD)
		index = take_owed_place(rules);
	if (index == RULES_NO_RUN) {
		if (!is_refused)
			snprintf(reason, REASON_BYTES_MAX, "%s",
				"too many commands wait for the host's disk");
		if (origin == ORIGIN_DASHBOARD)
			refuse_unkept(rules, command, request, code, actions);
		else
			refuse_client(client, reason, actions);
		return;
	}
	struct rules_run *run = &rules->runs[index];
	run->state = RUN_ACCEPTING;
	run->telling = origin == ORIGIN_DASHBOARD ? TELLING_OWED : TELLING_NONE;
	run->origin = origin;
	run->request = request;
	run->worker_epoch = rules->worker.epoch;
	run->client = client;
	run->sequence = ++rules->sequence;
	run->wall_ms = wall_ms(rules->wall);
	run->outcome = is_refused ? OUTCOME_REFUSED : OUTCOME_NONE;
	run->code = code;
	text_copy(command, run->command, sizeof(run->command));
	text_copy(text_of(reason), run->reason, sizeof(run->reason));
	const struct op *op = ops_find(command, PROTOCOL_WEBSOCKET);
	run->is_announced = op && op->class == OP_ANNOUNCED;
	run->may_go_outside = op && op->outside_unit;
	record_make_name(run->wall_ms, command, rules_random(rules, UINT64_C(1) << 16), run->name);
	/* Its number must be higher than those on the disk, which are not known yet. */
	run->is_held = !rules->is_scanned;
	if (!run->is_held)
		runs_store(rules, index, ACT_ACCEPT, actions);
}

void runs_cancel(struct rules *rules, struct text name, bool is_kill, uint64_t client,
	struct rules_actions *actions)
{
	struct rules_run nobody = {.client = client};
	uint32_t index = name.size ? runs_find(rules, name) : find_meant(rules, NULL);
	if (index == RULES_NO_RUN) {
		refuse_client(
			client, name.size ? "there is no such run" : "nothing is running", actions);
		return;
	}
	struct rules_run *run = &rules->runs[index];
	if (is_waiting(run) || run->state == RUN_STARTING || run->state == RUN_GOING) {
		/* Done after the act that is under way; said when the runner listens. */
		run->cancel = is_kill ? 'k' : 't';
		if (run->state == RUN_GOING)
			run->retry = MONO_NEVER; /* whoever asks again does not wait for it */
		store_wanted(rules, index, actions);
	} else {
		refuse_client(client, "it is not running", actions);
		return;
	}
	reply(&nobody, true, text_of(run->name), actions);
}

/* ---- what the disk said ---- */

static void accepted(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	bool is_refused = run->outcome == OUTCOME_REFUSED;
	bool is_queued = !is_refused && is_held_up(rules);
	/* Of the host's own it is told too: a kill means also what is about to run. */
	if (run->origin == ORIGIN_LOCAL || run->worker_epoch == rules->worker.epoch)
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_ACCEPTED,
				.accepted = {.request = run->request,
					.run = is_refused ? TEXT_NONE : text_of(run->name),
					.command = text_of(run->command),
					.queued = is_queued}});
	if (run->client != RULES_NO_CLIENT) {
		reply(run, !is_refused, text_of(is_refused ? run->reason : run->name), actions);
		actions->list[actions->count - 1].reply.is_queued = is_queued;
		run->client = RULES_NO_CLIENT;
	}
	if (is_refused) {
		run_ended(rules, index, actions);
		return;
	}
	run->state = RUN_QUEUED;
	start_next(rules, actions);
}

static void settled(struct rules *rules, uint32_t index, const struct rules_event *event,
	struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	const struct record *record = event->stored.record;
	if (run->state != RUN_SETTLING && run->state != RUN_GOING)
		return;
	if (event->stored.is_live) {
		bool was_told = run->is_adopted && has_begun(run);
		adopt(rules, index, record, actions);
		if (!was_told && has_begun(run))
			tell_started(rules, run, actions);
		return;
	}
	switch (record->state) {
	case RECORD_EMPTY:
	case RECORD_WAITING:
		/* Nothing of it ran. A runner that dies before it starts anything must not be tried
		 * for ever. */
		if (++run->starts < RUNNER_STARTS_MAX) {
			run->state = RUN_QUEUED;
			start_next(rules, actions);
			return;
		}
		runner_failed(
			rules, index, text_of("its runner died before it could start"), actions);
		return;
	case RECORD_RUNNING: store_later(rules, run); return; /* its tree does not end yet */
	case RECORD_FINISHED:
		take_record(run, record);
		watch_leftover(rules, index, actions);
		run_ended(rules, index, actions);
		return;
	}
}

/* Whoever asked was told that it ends: what did not reach the runner (no process for it while a
 * command takes them all, a disk that hangs) is said again. No such process is a runner that ended
 * by itself. */
static void cancel_stored(struct rules *rules, struct rules_run *run, int error)
{
	if (run->state != RUN_GOING)
		return;
	if (error != 0 && error != ESRCH && error != ENOENT) {
		if (run->cancel != 'k')
			run->cancel = run->cancel_said;
		store_later(rules, run);
	} else if (run->is_adopted && run->processes == 0) {
		store_later(rules, run); /* nothing watches it: it is looked at again */
	}
}

/* Somebody removed the record: no later try finds it again. What the dashboard has needs no mark
 * then, and of what ran nobody can say how it ended; neither may hold its place for ever. False:
 * there is something else to do. */
static bool went_without_record(
	struct rules *rules, uint32_t index, enum rules_act act, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	if (act == ACT_MARK) {
		runs_marked(rules, index, actions);
		return true;
	}
	if (act != ACT_SETTLE || run->state != RUN_SETTLING)
		return false;
	run->outcome = OUTCOME_LOST;
	text_copy(text_of("its record was removed, so how it ended is not known"), run->reason,
		sizeof(run->reason));
	run->state = RUN_KEEPING;
	runs_store(rules, index, ACT_KEEP, actions);
	return true;
}

static void stored_run(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	uint32_t index = event->stored.run;
	struct rules_run *run = &rules->runs[index];
	run->is_storing = false;
	/* The record knows better how it ended: what it says is what is told. */
	if (event->stored.act == ACT_KEEP && event->stored.error == EEXIST) {
		/* Where it goes on, it is not as ended as whoever cancelled it was told. */
		if (run->outcome == OUTCOME_CANCELLED)
			run->cancel = 't';
		run->state = RUN_SETTLING;
		runs_store(rules, index, ACT_SETTLE, actions);
		return;
	}
	if (event->stored.error == ENOENT &&
		went_without_record(rules, index, event->stored.act, actions))
		return;
	if (event->stored.error != 0 && event->stored.act != ACT_CANCEL) {
		if (event->stored.act == ACT_ACCEPT && run->origin == ORIGIN_LOCAL) {
			refuse_client(run->client,
				"the disk did not take it: nfctl status says why", actions);
			/* Something of it may be on the disk: it must not run after a restart. */
			run->client = RULES_NO_CLIENT;
			runner_failed(
				rules, index, text_of("the disk did not take it in time"), actions);
			return;
		}
		store_later(rules, run);
		return;
	}
	switch (event->stored.act) {
	case ACT_ACCEPT: accepted(rules, index, actions); break;
	case ACT_SETTLE:
	case ACT_END: settled(rules, index, event, actions); break;
	case ACT_KEEP: run_ended(rules, index, actions); break;
	case ACT_MARK: runs_marked(rules, index, actions); break;
	case ACT_CANCEL: cancel_stored(rules, run, event->stored.error); break;
	case ACT_SCAN:
	case ACT_TOKEN:
	case ACT_RETAIN:
	case ACT_FLIGHT:
	case ACT_PAUSE:
	case ACT_SENT: break;
	}
	store_wanted(rules, index, actions);
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
			find_busy_refusal(rules, run, run->origin, rules->refusal)) {
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

static void scanned(
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
	start_next(rules, actions);
}

static void token_stored(struct rules *rules, int error, struct rules_actions *actions)
{
	struct rules_token *token = &rules->token;
	token->is_storing = false;
	token->is_kept = error == 0 && !token->is_again;
	if (token->is_again || error != 0)
		token->retry = mono_after(rules->now, token->is_again ? 0 : RETRY_LAST_MS);
	if (token->is_answered && (error != 0 || token->is_again))
		return; /* it was told that it is not kept; the retry is ours */
	token->is_answered = true;
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_KEPT,
			.kept = {.kept = error == 0,
				.reason = error ? text_of("the disk did not take it")
						: TEXT_NONE}});
}

void runs_token(struct rules *rules, struct text text, struct rules_actions *actions)
{
	struct rules_token *token = &rules->token;
	text_copy(text, token->text, sizeof(token->text));
	token->is_kept = false;
	token->is_answered = false;
	token->retry = MONO_NEVER;
	token->is_again = token->is_storing;
	if (token->is_storing)
		return;
	token->is_storing = true;
	rules_emit_store(actions, ACT_TOKEN, RULES_NO_RUN);
}

void runs_stored(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	switch (event->stored.act) {
	case ACT_SCAN: scanned(rules, event, actions); break;
	case ACT_TOKEN: token_stored(rules, event->stored.error, actions); break;
	case ACT_RETAIN:
		rules->is_retaining = false;
		rules->retain_next = mono_after(rules->now, RETAIN_EVERY_MS);
		break;
	case ACT_FLIGHT: rules->is_saving_flight = false; break;
	case ACT_SENT: rules->is_saving_sent = false; break;
	case ACT_PAUSE: pause_stored(rules, event->stored.error, actions); break;
	case ACT_ACCEPT:
	case ACT_SETTLE:
	case ACT_END:
	case ACT_KEEP:
	case ACT_MARK:
	case ACT_CANCEL: stored_run(rules, event, actions); break;
	}
}

static void scan(struct rules *rules, struct rules_actions *actions)
{
	rules->is_scanning = true;
	rules->scan++;
	rules->scan_retry = MONO_NEVER;
	rules_emit_store(actions, ACT_SCAN, RULES_NO_RUN);
}

void runs_start(struct rules *rules, struct rules_actions *actions)
{
	scan(rules, actions);
	rules->retain_next = rules->now;
}

/* A runner that is still there long after its own limits hangs itself: it is killed, and the
 * settling child ends what it left. */
static struct mono overdue_at(const struct rules *rules, const struct rules_run *run)
{
	bool is_live = run->state == RUN_GOING || run->state == RUN_STARTING;
	if (!is_live || run->deadline_ms == 0 || run->is_killing)
		return MONO_NEVER;
	struct mono due = mono_after(run->started,
		run->deadline_ms + COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS +
			(run->may_go_outside ? ACTIVATION_WAIT_MS : 0));
	return due.ns > rules->lenient_until.ns ? due : rules->lenient_until;
}

/* Nobody was scheduled for a while: the runners get the time back that they need to end by
 * themselves. */
void runs_away(struct rules *rules)
{
	rules->lenient_until = mono_after(
		rules->now, COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS);
}

/* Our own child is killed at once; of another's, a store child first looks whether the process that
 * the record names is still that one. */
static void end_hung(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	run->is_killing = true;
	if (!run->is_adopted)
		rules_emit(actions, ACTION_RUNNER_KILL)->run = index;
	else if (!run->is_storing)
		runs_store(rules, index, ACT_END, actions);
}

void runs_hasten(struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		struct rules_run *run = &rules->runs[i];
		if (is_only_here(run) && run->retry.ns != MONO_NEVER.ns)
			run->retry = rules->now;
	}
	if (rules->scan_retry.ns != MONO_NEVER.ns)
		rules->scan_retry = rules->now;
}

void runs_due(struct rules *rules, struct rules_actions *actions)
{
	for (uint32_t i = 0; i < rules->run_count && runs_has_room(actions); i++) {
		struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_FREE)
			continue;
		if (mono_reached(rules->now, run->retry) && !run->is_storing)
			runs_store(rules, i, wanted_act(run), actions);
		if (mono_reached(rules->now, overdue_at(rules, run)))
			end_hung(rules, i, actions);
	}
	if (mono_reached(rules->now, rules->token.retry) && !rules->token.is_storing) {
		rules->token.retry = MONO_NEVER;
		rules->token.is_again = false;
		rules->token.is_storing = true;
		rules_emit_store(actions, ACT_TOKEN, RULES_NO_RUN);
	}
	if (mono_reached(rules->now, rules->scan_retry) && !rules->is_scanning)
		scan(rules, actions);
}

struct mono runs_next(const struct rules *rules)
{
	struct mono next = MONO_NEVER;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_FREE)
			continue;
		if (!run->is_storing)
			next = mono_earlier(next, run->retry);
		next = mono_earlier(next, overdue_at(rules, run));
	}
	if (!rules->token.is_storing)
		next = mono_earlier(next, rules->token.retry);
	if (!rules->is_scanning)
		next = mono_earlier(next, rules->scan_retry);
	return next;
}
