/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/delivery.h"

#include <string.h>

#include "proto/base/check.h"
#include "worker/core/request.h"

static bool is_going(const struct agent *agent, struct text run)
{
	return agent->going.run[0] && text_is(run, agent->going.run);
}

static bool is_test(const char *command)
{
	return strcmp(command, "test") == 0;
}

static bool is_good(const struct debt *debt)
{
	return debt->outcome == OUTCOME_EXITED && debt->code == 0;
}

static bool is_busy_refusal(const struct debt *debt)
{
	return debt->outcome == OUTCOME_REFUSED && debt->code == REFUSAL_BUSY;
}

/* Over this connection or one before it, which the dashboard may have read. */
static bool was_told(const struct debt *debt)
{
	return debt->barrier != 0;
}

/* ---- the command that runs ---- */

/* There is something that a stop can mean. */
static bool is_busy(const struct agent *agent)
{
	return agent->going.run[0] || agent->awaited.count > 0 ||
	       !handover_is_empty(&agent->handover);
}

/* What a stop meant has ended. */
static void release_stop(struct going *going, bool is_owed)
{
	if (going->is_stop_kept)
		going->is_stop_answered = is_owed;
	going->is_stop_kept = going->is_cancelled = false;
}

void delivery_accepted(struct agent *agent, const struct agent_event_accepted *accepted)
{
	awaited_add(&agent->awaited, accepted->run);
	/* All that a stop can have meant is refused, and that is the answer. */
	if (!is_busy(agent))
		agent->going.is_stop_kept = agent->going.is_cancelled = false;
}

void delivery_started(struct agent *agent, struct mono now,
	const struct agent_event_started *started, struct actions *actions)
{
	struct going *going = &agent->going;
	awaited_drop(&agent->awaited, started->run);
	if (is_going(agent, started->run))
		return;
	const struct going before = *going;
	*going = (struct going){.pid = started->pid,
		.sent = started->sent,
		.is_owed = started->owed,
		.is_stop_answered = before.is_stop_kept,
		.is_stop_kept = before.is_stop_kept};
	if (before.is_stop_kept)
		memcpy(going->stop, before.stop, sizeof(going->stop));
	going->was_unseen = agent->session.state != SESSION_UP;
	text_copy(started->run, going->run, sizeof(going->run));
	text_copy(started->command, going->command, sizeof(going->command));
	compartments_started(&agent->compartments, started->command);
	if (going->is_owed)
		action_add(actions, ACTION_FOLLOW)->follow.run = text_of(going->run);
	session_hasten(agent, now);
}

static void tell_stages(struct agent *agent, const struct agent_action list[STAGES_TOLD_MAX],
	uint32_t count, struct actions *actions)
{
	for (uint32_t i = 0; i < count && agent->session.state == SESSION_UP; i++)
		*action_add(actions, list[i].type) = list[i];
}

void delivery_progressed(struct agent *agent, const struct agent_event_progressed *progressed,
	struct actions *actions)
{
	struct agent_action list[STAGES_TOLD_MAX];
	struct going *going = &agent->going;
	if (!is_going(agent, progressed->run))
		return;
	uint32_t count = stages_moved(&going->stages, progressed, is_test(going->command), list);
	tell_stages(agent, list, count, actions);
}

static void end_going(
	struct agent *agent, const struct agent_event_ended *ended, struct actions *actions)
{
	struct agent_action list[STAGES_TOLD_MAX];
	struct going *going = &agent->going;
	bool good = ended->outcome == OUTCOME_EXITED && ended->code == 0;
	if (!going->is_owed)
		return;
	action_add(actions, ACTION_UNFOLLOW)->unfollow.run = ended->run;
	uint32_t count = stages_ended(
		&going->stages, is_test(going->command), good, ended->summary, list);
	tell_stages(agent, list, count, actions);
}

static void owe(struct agent *agent, struct mono now, const struct agent_event_ended *ended,
	bool was_going, struct actions *actions)
{
	const struct going *going = &agent->going;
	struct debt *debt = debt_add(&agent->debts, ended);
	if (!debt) {
		action_add(actions, ACTION_OVERFLOW)->overflow.run = ended->run;
		return;
	}
	debt->state = DEBT_TELL;
	debt->sent = was_going && going->sent > ended->sent ? going->sent : ended->sent;
	debt->was_unseen = was_going ? going->was_unseen : agent->session.state != SESSION_UP;
	debt->is_streamed = ended->outcome == OUTCOME_REFUSED;
	if (debt->is_streamed)
		debt->stream_due = mono_after(now, NAME_WAIT_MS);
	/* A command may have moved the commit, which the status names. */
	debt->wants_facts = ended->outcome != OUTCOME_REFUSED;
	if (debt->wants_facts)
		session_look(agent, actions);
	debt->wants_lock = is_good(debt) && compartments_moves_lock(ended->command);
	if (debt->wants_lock) {
		debt->lock_due = mono_after(now, PROBE_WAIT_MS);
		agent->session.lock_due = now;
	}
}

void delivery_ended(struct agent *agent, struct mono now, const struct agent_event_ended *ended,
	struct actions *actions)
{
	const struct compartments_result result = {.command = ended->command,
		.outcome = ended->outcome,
		.code = ended->code,
		.reason = ended->reason,
		.summary = ended->summary,
		.wall_ms = ended->wall_ms};
	bool was_going = is_going(agent, ended->run);
	bool is_next = !agent->going.run[0] && awaited_is_first(&agent->awaited, ended->run);
	if (was_going || is_next)
		release_stop(&agent->going, ended->owed);
	awaited_drop(&agent->awaited, ended->run);
	/* What was refused or cancelled before it began says nothing about the host; what is told
	 * again, after the history that has it, would hide what came after it. */
	bool may_not_have_begun = ended->outcome == OUTCOME_REFUSED ||
				  ended->outcome == OUTCOME_CANCELLED;
	if (may_not_have_begun ? was_going : !ended->again)
		compartments_ended(&agent->compartments, &result);
	if (was_going)
		end_going(agent, ended, actions);
	if (ended->owed)
		owe(agent, now, ended, was_going, actions);
	else
		session_hasten(agent, now);
	/* The rest stays: actions of this step lend it. */
	if (was_going) {
		agent->going.run[0] = agent->going.command[0] = '\0';
		agent->going.pid = 0;
	}
}

/* ---- what the dashboard asks for ---- */

/* An answer that no record stands behind. */
static void report_plain(struct agent *agent, struct text command, uint64_t outcome,
	const char *reason, struct actions *actions)
{
	if (agent->session.state != SESSION_UP)
		return;
	struct agent_action_report *report = &action_add(actions, ACTION_REPORT)->report;
	*report = (struct agent_action_report){.run = TEXT_NONE,
		.command = command,
		.outcome = outcome,
		.reason = text_of(reason),
		.summary = TEXT_NONE,
		.commit = text_of(agent->sight.commit.value)};
}

static bool has_outcome(const struct agent *agent)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		enum debt_state state = agent->debts.list[i].state;
		if (state == DEBT_TELL || state == DEBT_SENT)
			return true;
	}
	return false;
}

/* As any status that says 0, with a heartbeat before and behind it. */
static void answer_stop(struct agent *agent, struct mono now, struct actions *actions)
{
	report_plain(
		agent, text_of(agent->going.stop), OUTCOME_EXITED, "nothing is running", actions);
	agent->going.is_stop_answered = true; /* the name stays: an action lends it */
	agent->session.is_beaten = false;
	session_hasten(agent, now);
}

/* False: there is nothing to end. */
static bool cancel(struct agent *agent, bool is_hard, struct actions *actions)
{
	if (!is_busy(agent))
		return false;
	/* Asked once more: whoever presses the button twice is not served by politeness. */
	action_add(actions, ACTION_CANCEL)->cancel.hard = is_hard || agent->going.is_cancelled;
	agent->going.is_cancelled = true;
	return true;
}

void delivery_kill(struct agent *agent, bool is_hard, struct actions *actions)
{
	cancel(agent, is_hard, actions); /* where nothing runs, nobody waits for an answer */
}

/* Where an outcome is on its way, that is the answer; that of the host's own command is not told.
 */
static void told_stop(struct agent *agent, struct text command, struct actions *actions)
{
	struct going *going = &agent->going;
	bool is_cancelled = cancel(agent, false, actions);
	if (!is_cancelled && has_outcome(agent))
		return;
	if (is_cancelled && going->stop[0] && !going->is_stop_answered)
		return; /* the one before is answered first, and for both */
	text_copy(command, going->stop, sizeof(going->stop));
	going->is_stop_answered = going->is_stop_kept = is_cancelled;
}

/* Each is on the disk until it is told and marked, and that goes at a pace of its own. */
static bool has_enough_refused(const struct agent *agent)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		const struct debt *debt = &agent->debts.list[i];
		count += debt->state != DEBT_FREE && debt->outcome == OUTCOME_REFUSED;
	}
	return count >= REFUSED_WAIT_MAX;
}

void delivery_told(struct agent *agent, struct text command, struct actions *actions)
{
	if (text_is(command, "stop") || text_is(command, "kill")) {
		told_stop(agent, command, actions);
		return;
	}
	if (handover_is_full(&agent->handover)) {
		report_plain(agent, command, OUTCOME_REFUSED,
			"too many commands wait for the host's disk", actions);
		return;
	}
	if (has_enough_refused(agent)) {
		report_plain(agent, command, OUTCOME_REFUSED,
			"too many commands that were refused wait to be told so", actions);
		return;
	}
	struct agent_action *action = action_add(actions, ACTION_RUN);
	action->run.id = ++agent->id;
	action->run.command = handover_add(&agent->handover, agent->id, command);
}

/* ---- output ---- */

/* Where the confirmed offset of the streamed run is kept. */
static uint64_t *find_sent(struct agent *agent)
{
	struct debt *debt = debt_find(&agent->debts, text_of(agent->feed.run));
	if (debt)
		return &debt->sent;
	return is_going(agent, text_of(agent->feed.run)) ? &agent->going.sent : NULL;
}

static void unstream(struct agent *agent, struct actions *actions)
{
	if (!agent->feed.run[0])
		return;
	action_add(actions, ACTION_UNSTREAM)->unstream.run = text_of(agent->feed.run);
	/* The action lends the name until the next step. */
	memcpy(agent->feed.last, agent->feed.run, sizeof(agent->feed.last));
	actions->list[actions->count - 1].unstream.run = text_of(agent->feed.last);
	agent->feed.run[0] = '\0';
}

static void stream(
	struct agent *agent, const struct agent_action_stream *wanted, struct actions *actions)
{
	struct feed *feed = &agent->feed;
	bool is_same = feed->run[0] && text_is(wanted->run, feed->run);
	if (is_same && feed->is_ended == wanted->ended)
		return;
	if (!is_same) {
		unstream(agent, actions);
		text_copy(wanted->run, feed->run, sizeof(feed->run));
		feed->told = wanted->offset;
		feed->told_due = (struct mono){0};
	}
	feed->is_ended = wanted->ended;
	*action_add(actions, ACTION_STREAM) = (struct agent_action){
		.type = ACTION_STREAM, .stream = *wanted};
}

/* The oldest that ended and whose output is still to be sent, else the one that runs. */
static void stream_next(struct agent *agent, struct mono now, struct actions *actions)
{
	uint32_t next = debt_next(&agent->debts, (struct mono){0}, DEBT_TELL, false);
	struct debt *debt = next == DEBT_NONE ? NULL : &agent->debts.list[next];
	if (debt && !debt->is_streamed) {
		if (debt->stream_due.ns == 0)
			debt->stream_due = mono_after(now, debt->outcome == OUTCOME_CANCELLED
								   ? STREAM_DRAIN_STOP_MS
								   : STREAM_DRAIN_MS);
		stream(agent,
			&(struct agent_action_stream){
				text_of(debt->run), text_of(debt->command), debt->sent, true},
			actions);
	} else if (!debt && agent->going.run[0] && agent->going.is_owed) {
		stream(agent,
			&(struct agent_action_stream){text_of(agent->going.run),
				text_of(agent->going.command), agent->going.sent, false},
			actions);
	}
}

void delivery_output(struct agent *agent, struct mono now, const struct agent_event_output *output)
{
	if (!text_is(output->run, agent->feed.run))
		return;
	agent->feed.is_unproven = true;
	session_ping_within(agent, now, SESSION_PING_STREAM_MS);
}

void delivery_streamed(struct agent *agent, const struct agent_event_streamed *streamed)
{
	struct debt *debt = debt_find(&agent->debts, streamed->run);
	if (debt && text_is(streamed->run, agent->feed.run))
		debt->is_streamed = true;
}

void delivery_facts_known(struct agent *agent)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++)
		agent->debts.list[i].wants_facts = false;
}

void delivery_lock_known(struct agent *agent)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++)
		agent->debts.list[i].wants_lock = false;
}

/* ---- outcomes ---- */

/* What the dashboard could not see happen stands in the output, too: it took the reconnect for a
 * success. Only before the first status: behind one that was read, a line hides the run's log. */
static void tell_unseen(const struct debt *debt, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_LINE);
	action->line.command = text_of(debt->command);
	action->line.text = debt->reason[0] ? text_of(debt->reason) : text_of("it failed");
}

static void tell(struct agent *agent, struct mono now, struct debt *debt, struct actions *actions)
{
	if (is_busy_refusal(debt) && agent->going.run[0]) {
		struct agent_action *action = action_add(actions, ACTION_REJECT);
		action->reject.command = text_of(agent->going.command);
		action->reject.pid = agent->going.pid;
	} else {
		if (debt->was_unseen && !was_told(debt) && !is_good(debt) &&
			compartments_switches(text_of(debt->command)))
			tell_unseen(debt, actions);
		if (agent->feed.run[0] && strcmp(agent->feed.run, debt->run) == 0)
			unstream(agent, actions);
		*action_add(actions, ACTION_REPORT) = (struct agent_action){.type = ACTION_REPORT,
			.report = {.run = text_of(debt->run),
				.command = text_of(debt->command),
				.outcome = debt->outcome,
				.code = debt->code,
				.reason = text_of(debt->reason),
				.summary = text_of(debt->summary),
				.commit = text_of(agent->sight.commit.value)}};
		agent->session.is_beaten = false;
		agent->session.is_switched |= is_good(debt) &&
					      compartments_switches(text_of(debt->command));
		session_hasten(agent, now);
		rate_sent(&agent->reports, now);
	}
	debt->state = DEBT_SENT;
	debt->barrier = session_barrier(agent, now);
}

/* Who is refused because of a command that is just starting is told when its name is known; not for
 * ever: what waits may end untold as long as this one is in its way. */
static bool waits_for_name(const struct agent *agent, const struct debt *debt)
{
	return is_busy_refusal(debt) && !agent->going.run[0] && agent->awaited.count > 0;
}

/* An exit 0 while the dashboard waits for another connection would throw it off. */
static bool is_held(const struct agent *agent, const struct debt *debt)
{
	return agent->session.is_switched && is_good(debt);
}

static bool is_ready(struct debt *debt, struct mono now)
{
	if (!debt->is_streamed && debt->stream_due.ns != 0 && mono_reached(now, debt->stream_due))
		debt->is_streamed = true;
	if (debt->wants_lock && mono_reached(now, debt->lock_due))
		debt->wants_lock = false;
	return debt->is_streamed && !debt->wants_lock && !debt->wants_facts;
}

/* A refusal waits for nothing; of the others the oldest is next. */
static uint32_t next_debt(const struct agent *agent)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		const struct debt *debt = &agent->debts.list[i];
		if (debt->state == DEBT_TELL && is_busy_refusal(debt) && agent->going.run[0])
			return i;
	}
	return debt_next(&agent->debts, (struct mono){0}, DEBT_TELL, false);
}

/* Of a run whose output went before the ping and is not streamed any more, nothing is learnt. */
static void tell_offset(struct agent *agent, struct mono now, const struct session_ping *ping,
	struct actions *actions)
{
	struct feed *feed = &agent->feed;
	uint64_t offset = ping->offset;
	bool is_same = feed->run[0] && strcmp(feed->run, ping->run) == 0;
	uint64_t *sent = is_same ? find_sent(agent) : NULL;
	if (!sent || offset < *sent)
		return;
	*sent = offset;
	if (offset == feed->told || !mono_reached(now, feed->told_due))
		return;
	feed->told = offset;
	feed->told_due = mono_after(now, SENT_EVERY_MS);
	struct agent_action *action = action_add(actions, ACTION_SENT);
	action->sent.run = text_of(feed->run);
	action->sent.offset = offset;
}

void delivery_pong(struct agent *agent, struct mono now, const struct session_ping *ping,
	struct actions *actions)
{
	bool is_waiting = false;
	bool is_switched = false;
	tell_offset(agent, now, ping, actions);
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		struct debt *debt = &agent->debts.list[i];
		if (debt->state != DEBT_SENT)
			continue;
		if (debt->barrier > ping->sequence) {
			is_waiting = true;
			continue;
		}
		debt->state = DEBT_TOLD;
		action_add(actions, ACTION_DELIVERED)->delivered.run = text_of(debt->run);
		is_switched = is_switched ||
			      (is_good(debt) && compartments_switches(text_of(debt->command)));
	}
	/* The dashboard waits for a new connection, and perhaps there is a new binary for it. */
	if (is_switched)
		action_add(actions, ACTION_RESTART)->restart.reason = text_of("a new system runs");
	if (is_waiting)
		session_barrier(agent, now);
}

void delivery_closed(struct agent *agent, struct actions *actions)
{
	unstream(agent, actions);
	agent->going.is_stop_answered = true; /* who asked is gone */
	agent->going.is_stop_kept = false;
	agent->going.was_unseen = agent->going.run[0] != '\0';
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		struct debt *debt = &agent->debts.list[i];
		if (debt->state == DEBT_SENT)
			debt->state = DEBT_TELL;
		if (debt->state != DEBT_TELL || debt->outcome == OUTCOME_REFUSED)
			continue;
		/* Where the status may have been read, no output may follow it. */
		debt->is_streamed = was_told(debt);
		debt->stream_due = (struct mono){0};
		debt->was_unseen = true;
	}
}

void delivery_next(struct agent *agent, struct mono now, struct actions *actions)
{
	if (!agent->session.is_beaten)
		return;
	if (agent->going.stop[0] && !agent->going.is_stop_answered && !agent->session.is_switched) {
		answer_stop(agent, now, actions);
		return;
	}
	uint32_t next = next_debt(agent);
	bool waits = next != DEBT_NONE && waits_for_name(agent, &agent->debts.list[next]) &&
		     !mono_reached(now, agent->debts.list[next].stream_due);
	if (next != DEBT_NONE && !waits && !is_held(agent, &agent->debts.list[next]) &&
		is_ready(&agent->debts.list[next], now) &&
		mono_reached(now, rate_due(&agent->reports))) {
		tell(agent, now, &agent->debts.list[next], actions);
		if (!agent->session.is_beaten)
			return;
	}
	stream_next(agent, now, actions);
}

struct mono delivery_due(const struct agent *agent)
{
	uint32_t next = next_debt(agent);
	if (!agent->session.is_beaten || next == DEBT_NONE)
		return MONO_NEVER;
	const struct debt *debt = &agent->debts.list[next];
	struct mono due = rate_due(&agent->reports);
	if (!debt->is_streamed && debt->stream_due.ns > due.ns)
		due = debt->stream_due;
	if (debt->wants_lock && debt->lock_due.ns > due.ns)
		due = debt->lock_due;
	/* What these wait for is an event on its way. */
	if (waits_for_name(agent, debt) && debt->stream_due.ns > due.ns)
		due = debt->stream_due;
	return debt->wants_facts || is_held(agent, debt) ? MONO_NEVER : due;
}
