/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the disk said of what it was to keep. */
#include <errno.h>

#include "supervisor/rules_parts.h"

#define RETAIN_EVERY_MS 60000

static void accepted(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	bool is_refused = run->outcome == OUTCOME_REFUSED;
	bool is_queued = !is_refused && runs_are_held_up(rules);
	/* Of the host's own it is told too: a kill means also what is about to run. */
	if (run->origin == ORIGIN_LOCAL || run->worker_epoch == rules->worker.epoch)
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_ACCEPTED,
				.accepted = {.request = run->request,
					.run = is_refused ? TEXT_NONE : text_of(run->name),
					.command = text_of(run->command),
					.queued = is_queued}});
	if (run->client != RULES_NO_CLIENT) {
		runs_reply(
			run, !is_refused, text_of(is_refused ? run->reason : run->name), actions);
		actions->list[actions->count - 1].reply.is_queued = is_queued;
		run->client = RULES_NO_CLIENT;
	}
	if (is_refused) {
		runs_ended(rules, index, actions);
		return;
	}
	run->state = RUN_QUEUED;
	runs_go_on(rules, actions);
}

static void settled(struct rules *rules, uint32_t index, const struct rules_event *event,
	struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	const struct record *record = event->stored.record;
	if (run->state != RUN_SETTLING && run->state != RUN_GOING)
		return;
	if (event->stored.is_live) {
		bool was_told = run->is_adopted && runs_has_begun(run);
		runs_adopt(rules, index, record, actions);
		if (!was_told && runs_has_begun(run))
			runs_tell_started(rules, run, actions);
		return;
	}
	switch (record->state) {
	case RECORD_EMPTY:
	case RECORD_WAITING:
		/* Nothing of it ran. A runner that dies before it starts anything must not be tried
		 * for ever. */
		if (++run->starts < RUNNER_STARTS_MAX) {
			run->state = RUN_QUEUED;
			runs_go_on(rules, actions);
			return;
		}
		runs_failed(
			rules, index, text_of("its runner died before it could start"), actions);
		return;
	case RECORD_RUNNING: runs_store_later(rules, run); return; /* its tree does not end yet */
	case RECORD_FINISHED:
		runs_take_record(run, record);
		runs_watch_leftover(rules, index, actions);
		runs_ended(rules, index, actions);
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
		runs_store_later(rules, run);
	} else if (run->is_adopted && run->processes == 0) {
		runs_store_later(rules, run); /* nothing watches it: it is looked at again */
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
			runs_refuse(run->client, "the disk did not take it: nfctl status says why",
				actions);
			/* Something of it may be on the disk: it must not run after a restart. */
			run->client = RULES_NO_CLIENT;
			runs_failed(
				rules, index, text_of("the disk did not take it in time"), actions);
			return;
		}
		runs_store_later(rules, run);
		return;
	}
	switch (event->stored.act) {
	case ACT_ACCEPT: accepted(rules, index, actions); break;
	case ACT_SETTLE:
	case ACT_END: settled(rules, index, event, actions); break;
	case ACT_KEEP: runs_ended(rules, index, actions); break;
	case ACT_MARK: runs_marked(rules, index, actions); break;
	case ACT_CANCEL: cancel_stored(rules, run, event->stored.error); break;
	case ACT_SCAN:
	case ACT_TOKEN:
	case ACT_RETAIN:
	case ACT_FLIGHT:
	case ACT_PAUSE:
	case ACT_SENT: break;
	}
	runs_store_wanted(rules, index, actions);
}

void runs_stored(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	switch (event->stored.act) {
	case ACT_SCAN: runs_scanned(rules, event, actions); break;
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
