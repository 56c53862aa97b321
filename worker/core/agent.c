/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/agent.h"

#include <string.h>

#include "proto/base/check.h"
#include "worker/core/request.h"

void agent_init(struct agent *agent, const struct agent_limits *limits)
{
	check(limits->interval_ms > 0);
	memset(agent, 0, sizeof(*agent));
	agent->limits = *limits;
	agent->state = AGENT_WORKING;
	agent->stop_due = MONO_NEVER;
	agent->request.debt = DEBT_NONE;
	dice_init(&agent->dice, limits->seed);
	contact_init(&agent->contact, limits->interval_ms, limits->spread_ms);
	login_init(&agent->login, limits->has_own_token, limits->has_shared_token);
	sight_init(&agent->sight);
	rate_init(&agent->reports, REPORTS_MINUTE_MAX);
	rate_init(&agent->test.rate, PROGRESS_MINUTE_MAX);
}

static bool has_session(const struct agent *agent)
{
	return agent->limits.protocol == PROTOCOL_WEBSOCKET;
}

static void on_open(struct agent *agent, struct mono now)
{
	if (agent->limits.protocol != PROTOCOL_NONE)
		contact_open(&agent->contact, now);
}

static void on_due(struct agent *agent, struct mono now, struct actions *actions)
{
	bool was_held = login_is_held(&agent->login);
	if (login_waited(&agent->login, now))
		*action_add(actions, ACTION_KEEP) = (struct agent_action){
			.type = ACTION_KEEP, .keep = {.again = true}};
	if (was_held && !login_is_held(&agent->login))
		action_add(actions, ACTION_UNKEPT)->unkept.refused = false;
	request_waited(agent, now, actions);
}

static void on_network(struct agent *agent, struct mono now, struct actions *actions)
{
	if (has_session(agent)) {
		session_network(agent, now, actions);
		return;
	}
	contact_network(&agent->contact, now);
	if (agent->request.state == REQUEST_FLYING)
		action_add(actions, ACTION_HURRY)->hurry.id = agent->request.id;
}

static void on_probed(struct agent *agent, struct mono now, const struct agent_event_probed *probed,
	struct actions *actions)
{
	sight_probed(&agent->sight.system, now, probed);
	bool is_commit = sight_probed(&agent->sight.commit, now, probed);
	if (sight_clone_probed(&agent->sight, now, probed) && probed->good) {
		sight_changed(&agent->sight);
		contact_hasten(&agent->contact, now);
		session_hasten(agent, now);
	}
	if (has_session(agent))
		session_probed(agent, probed);
	else if (is_commit)
		request_probed(agent, now, actions);
}

static void on_looked(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions)
{
	if (has_session(agent))
		session_looked(agent, now, looked, actions);
	else
		request_looked(agent, now, looked, actions);
}

static void on_started(struct agent *agent, struct mono now,
	const struct agent_event_started *started, struct actions *actions)
{
	struct agent_test *test = &agent->test;
	if (has_session(agent)) {
		delivery_started(agent, now, started, actions);
		return;
	}
	if (!started->owed || !text_is(started->command, "test") ||
		text_is(started->run, test->run))
		return;
	text_copy(started->run, test->run, sizeof(test->run));
	test->is_news = false;
	action_add(actions, ACTION_FOLLOW)->follow.run = text_of(test->run);
}

static void on_progressed(struct agent *agent, const struct agent_event_progressed *progressed,
	struct actions *actions)
{
	if (has_session(agent))
		delivery_progressed(agent, progressed, actions);
	else if (text_is(progressed->run, agent->test.run))
		agent->test.is_news = true;
}

/* Told again though it is known: the mark did not reach the disk, or the supervisor never heard. */
static void tell_again(const struct debt *debt, struct actions *actions)
{
	if (debt->state == DEBT_TOLD)
		action_add(actions, ACTION_DELIVERED)->delivered.run = text_of(debt->run);
	else if (debt->state == DEBT_GIVEN_UP)
		*action_add(actions, ACTION_UNDELIVERABLE) = (struct agent_action){
			.type = ACTION_UNDELIVERABLE,
			.undeliverable = {text_of(debt->run), text_of(debt->reason)}};
}

static void on_ended(struct agent *agent, struct mono now, const struct agent_event_ended *ended,
	struct actions *actions)
{
	struct debt *debt = debt_find(&agent->debts, ended->run);
	if (ended->owed && debt) {
		tell_again(debt, actions);
		return;
	}
	sight_changed(&agent->sight);
	if (has_session(agent)) {
		delivery_ended(agent, now, ended, actions);
		return;
	}
	if (text_is(ended->run, agent->test.run)) {
		action_add(actions, ACTION_UNFOLLOW)->unfollow.run = ended->run;
		agent->test.run[0] = '\0';
	}
	if (!ended->owed)
		contact_hasten(&agent->contact, now);
	else if (!debt_add(&agent->debts, ended))
		action_add(actions, ACTION_OVERFLOW)->overflow.run = ended->run;
}

static void on_kept(struct agent *agent, struct mono now, bool kept, struct actions *actions)
{
	login_kept(&agent->login, now, kept);
	if (!kept)
		action_add(actions, ACTION_UNKEPT)->unkept.refused = true;
}

static void on_marked(struct agent *agent, struct text run)
{
	struct debt *debt = debt_find(&agent->debts, run);
	if (debt && (debt->state == DEBT_TOLD || debt->state == DEBT_GIVEN_UP))
		debt_remove(debt);
}

static void on_history(struct agent *agent, const struct agent_event_history *history)
{
	compartments_ended(
		&agent->compartments, &(struct compartments_result){.command = history->command,
					      .outcome = history->outcome,
					      .code = history->code,
					      .reason = history->reason,
					      .summary = history->summary,
					      .wall_ms = history->wall_ms});
}

static void on_stop(
	struct agent *agent, struct mono now, uint64_t grace_ms, struct actions *actions)
{
	if (agent->state != AGENT_WORKING)
		return;
	agent->state = AGENT_STOPPING;
	agent->stop_due = mono_after(now, grace_ms);
	if (agent->request.state != REQUEST_FLYING)
		agent->request.state = REQUEST_NONE;
	session_close(agent, "the agent stops", actions);
}

/* While stopping: nothing new; leave when what arrived is safe, or the grace is over. */
static void leave(struct agent *agent, struct mono now, struct actions *actions)
{
	bool is_done = agent->request.state == REQUEST_NONE &&
		       agent->session.state == SESSION_DOWN &&
		       handover_is_empty(&agent->handover) && !login_is_held(&agent->login);
	bool is_late = mono_reached(now, agent->stop_due);
	if (!is_done && !is_late)
		return;
	agent->state = AGENT_LEFT;
	action_add(actions, ACTION_LEAVE)->leave.late = !is_done;
}

/* What only a WebSocket dashboard causes. */
static void handle_session(struct agent *agent, struct mono now, const struct agent_event *event,
	struct actions *actions)
{
	if (event->type == EVENT_CONNECTED)
		session_connected(agent, &event->connected, actions);
	else if (event->type == EVENT_CLOSED)
		session_closed(agent, now, &event->closed, actions);
	else if (event->type == EVENT_REGISTERED)
		session_registered(agent, now);
	else if (event->type == EVENT_TOLD)
		delivery_told(agent, event->told.command, actions);
	else if (event->type == EVENT_KILL)
		delivery_kill(agent, event->kill.hard, actions);
	else if (event->type == EVENT_PONG)
		session_pong(agent, now, &event->pong, actions);
	else if (event->type == EVENT_PINGED)
		session_pinged(agent, &event->pinged);
	else if (event->type == EVENT_OUTPUT)
		delivery_output(agent, now, &event->output);
	else
		delivery_streamed(agent, &event->streamed);
}

static void handle(struct agent *agent, struct mono now, const struct agent_event *event,
	struct actions *actions)
{
	switch (event->type) {
	case EVENT_OPEN: on_open(agent, now); break;
	case EVENT_DUE: on_due(agent, now, actions); break;
	case EVENT_NETWORK: on_network(agent, now, actions); break;
	case EVENT_LOOKED: on_looked(agent, now, &event->looked, actions); break;
	case EVENT_PROBED: on_probed(agent, now, &event->probed, actions); break;
	case EVENT_ANSWER: request_answered(agent, now, &event->answer, actions); break;
	case EVENT_ACCEPTED:
		handover_accepted(&agent->handover, event->accepted.id);
		delivery_accepted(agent, &event->accepted);
		break;
	case EVENT_STARTED: on_started(agent, now, &event->started, actions); break;
	case EVENT_PROGRESSED: on_progressed(agent, &event->progressed, actions); break;
	case EVENT_ENDED: on_ended(agent, now, &event->ended, actions); break;
	case EVENT_KEPT: on_kept(agent, now, event->kept.kept, actions); break;
	case EVENT_MARKED: on_marked(agent, event->marked.run); break;
	case EVENT_PAUSED: agent->limits.paused = event->paused.paused; break;
	case EVENT_STOP: on_stop(agent, now, event->stop.grace_ms, actions); break;
	case EVENT_HISTORY: on_history(agent, &event->history); break;
	case EVENT_CONNECTED:
	case EVENT_CLOSED:
	case EVENT_REGISTERED:
	case EVENT_TOLD:
	case EVENT_KILL:
	case EVENT_PONG:
	case EVENT_PINGED:
	case EVENT_STREAMED:
	case EVENT_OUTPUT:
		if (has_session(agent))
			handle_session(agent, now, event, actions);
		break;
	}
}

void agent_step(struct agent *agent, struct mono now, const struct agent_event *event,
	struct actions *actions)
{
	actions->count = 0;
	agent->steps++;
	switch (agent->state) {
	case AGENT_WORKING:
	case AGENT_STOPPING: handle(agent, now, event, actions); break;
	case AGENT_LEFT: return;
	}
	if (agent->state == AGENT_STOPPING)
		leave(agent, now, actions);
	else if (has_session(agent))
		session_next(agent, now, actions);
	else
		request_next(agent, now, actions);
}

struct mono agent_due(const struct agent *agent)
{
	if (agent->state == AGENT_LEFT)
		return MONO_NEVER;
	struct mono due = mono_earlier(agent->stop_due, login_due(&agent->login));
	if (agent->state == AGENT_STOPPING)
		return due;
	return mono_earlier(due, has_session(agent) ? session_due(agent) : request_due(agent));
}

enum link agent_link(const struct agent *agent)
{
	return contact_link(&agent->contact, agent->request.state == REQUEST_FLYING ||
						     (agent->session.state != SESSION_DOWN &&
							     agent->session.state != SESSION_UP));
}
