/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The life of a run: it is accepted on disk before anything else happens to it (rules_asked.c,
 * rules_stored.c) or found there (rules_record.c), queued, run alone, settled from its record when
 * nobody can say how it ended, and told until the dashboard has it (rules_owed.c).
 */
#include "proto/base/check.h"
#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

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

void runs_store_later(struct rules *rules, struct rules_run *run)
{
	uint64_t pause = (uint64_t)RETRY_FIRST_MS << (run->tries < 5 ? run->tries : 5u);
	if (rules->is_stopping) /* there is no later */
		pause = RETRY_FIRST_MS;
	run->tries++;
	run->retry = mono_after(rules->now, pause < RETRY_LAST_MS ? pause : RETRY_LAST_MS);
}

/* ---- telling the worker ---- */

void runs_tell_started(
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

/* What was asked for before the worker began, and waits, be it for the disk or for its runner's
 * turn: a stop means it. The oldest first. */
static void tell_waiting(struct rules *rules, struct rules_actions *actions)
{
	for (uint64_t told = 0; runs_has_room(actions);) {
		uint32_t oldest = RULES_NO_RUN;
		for (uint32_t i = 0; i < rules->run_count; i++) {
			const struct rules_run *run = &rules->runs[i];
			bool waits = runs_is_waiting(run) ||
				     (run->state == RUN_GOING && !runs_has_begun(run));
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
		if (runs_has_begun(&rules->runs[i]))
			runs_tell_started(rules, &rules->runs[i], actions);
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
void runs_store_wanted(struct rules *rules, uint32_t index, struct rules_actions *actions)
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
void runs_go_on(struct rules *rules, struct rules_actions *actions)
{
	uint32_t oldest = RULES_NO_RUN;
	if (runs_are_held_up(rules))
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

void runs_ended(struct rules *rules, uint32_t index, struct rules_actions *actions)
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
	runs_go_on(rules, actions);
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
	runs_tell_started(rules, run, actions);
	runs_store_wanted(rules, event->runner_started.run, actions);
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
		runs_ended(rules, index, actions);
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

void runs_failed(
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
		runs_go_on(rules, actions); /* the place of what it left is free now */
		return;
	}
	if (event->runner_exited.why.size > 0) {
		runs_failed(rules, index, event->runner_exited.why, actions);
		return;
	}
	run->state = RUN_SETTLING;
	if (!run->is_storing)
		runs_store(rules, index, ACT_SETTLE, actions);
}

/* ---- what is due ---- */

void runs_start(struct rules *rules, struct rules_actions *actions)
{
	runs_scan(rules, actions);
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
		if (runs_is_only_here(run) && run->retry.ns != MONO_NEVER.ns)
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
	if (mono_reached(rules->now, rules->scan_retry) && !rules->is_scanning)
		runs_scan(rules, actions);
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
	if (!rules->is_scanning)
		next = mono_earlier(next, rules->scan_retry);
	return next;
}
