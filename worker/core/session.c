/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/session.h"

#include <string.h>

#include "proto/base/check.h"
#include "worker/core/delivery.h"
#include "worker/core/request.h"

static void begin(struct agent *agent, struct mono now, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_CONNECT);
	if (agent->contact.state == CONTACT_REFUSED)
		login_from_start(&agent->login);
	agent->session.state = SESSION_CONNECTING;
	agent->session.id = ++agent->id;
	agent->request.token = agent->login.use;
	contact_tried(&agent->contact, now);
	action->connect.id = agent->session.id;
	action->connect.token = agent->login.use;
}

void session_close(struct agent *agent, const char *reason, struct actions *actions)
{
	if (agent->session.state == SESSION_DOWN || agent->session.state == SESSION_CLOSING)
		return;
	struct agent_action *action = action_add(actions, ACTION_CLOSE);
	action->close.id = agent->session.id;
	action->close.reason = text_of(reason);
	agent->session.state = SESSION_CLOSING;
}

void session_look(struct agent *agent, struct actions *actions)
{
	if (agent->session.state == SESSION_DOWN || agent->session.state == SESSION_CLOSING)
		return;
	agent->session.look = ++agent->id;
	action_add(actions, ACTION_LOOK)->look.id = agent->id;
}

static void was_heard(struct session *session, struct mono now)
{
	session->heard = now;
	session->doubt_due = MONO_NEVER;
}

void session_connected(
	struct agent *agent, const struct agent_event_connected *connected, struct actions *actions)
{
	struct session *session = &agent->session;
	if (session->state != SESSION_CONNECTING || session->id != connected->id)
		return;
	session->state = SESSION_LOOKING;
	session_look(agent, actions);
}

/* How long a host that was evicted stays away: longer each time, so that two of one name do not
 * take the place from each other for ever. */
static uint64_t evicted_pause(struct session *session, struct mono now)
{
	uint64_t pause = SESSION_EVICTED_MIN_MS;
	if (mono_ms_since(now, session->since) >= SESSION_SETTLED_MS)
		session->evictions = 0;
	for (uint32_t i = 0; i < session->evictions && pause < SESSION_EVICTED_MAX_MS; i++)
		pause *= 2;
	session->evictions++;
	return pause < SESSION_EVICTED_MAX_MS ? pause : SESSION_EVICTED_MAX_MS;
}

static void judge(
	struct agent *agent, struct mono now, const struct agent_event_closed *closed, bool was_up)
{
	struct contact *contact = &agent->contact;
	if (closed->code == 401) {
		if (login_was_refused(&agent->login, agent->request.token))
			contact_retry_now(contact, now);
		else
			contact_refused(contact, now, &agent->dice, closed->reason);
	} else if (was_up && closed->close_code == 1005) { /* an empty close frame */
		uint64_t pause = evicted_pause(&agent->session, now);
		contact_held(
			contact, now, pause + dice_throw(&agent->dice, pause / 4), closed->reason);
	} else if (closed->retry_after_ms > 0) {
		contact_held(contact, now, closed->retry_after_ms, closed->reason);
	} else {
		contact_failed(contact, now, &agent->dice, closed->reason);
	}
}

void session_closed(struct agent *agent, struct mono now, const struct agent_event_closed *closed,
	struct actions *actions)
{
	struct session *session = &agent->session;
	bool was_up = session->state == SESSION_UP;
	if (session->state == SESSION_DOWN || session->id != closed->id)
		return;
	session->state = SESSION_DOWN;
	session->look = 0;
	session->is_beating = session->is_switched = false;
	session->ping.is_out = false;
	delivery_closed(agent, actions);
	judge(agent, now, closed, was_up);
}

void session_registered(struct agent *agent, struct mono now)
{
	struct session *session = &agent->session;
	if (session->state != SESSION_REGISTERING)
		return;
	session->state = SESSION_UP;
	session->since = session->beat_due = now;
	was_heard(session, now);
	session->is_beaten = false;
	session->ping.due = mono_after(now, SESSION_PING_EVERY_MS);
	login_was_good(&agent->login);
	contact_was_good(&agent->contact, now);
	contact_registered(&agent->contact, now);
}

static void announce(struct agent *agent, struct mono now, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_ANNOUNCE);
	action->announce.commit = text_of(agent->sight.commit.value);
	action->announce.system = text_of(agent->sight.system.value);
	agent->session.state = SESSION_REGISTERING;
	agent->session.due = mono_after(now, SESSION_REGISTER_MS);
}

/* A pause has no place of its own on the dashboard: people see it in front of what it says of the
 * system. */
static struct text system_message(struct agent *agent)
{
	static const char mark[] = "paused: "; /* a dashboard may trim it */
	const char *said = agent->compartments.list[COMPARTMENT_SYSTEM].message;
	char *whole = agent->session.system_message;
	if (!agent->limits.paused)
		return text_of(said);
	memcpy(whole, mark, sizeof(mark));
	text_copy(text_of(said), whole + sizeof(mark) - 1, SHORT_TEXT_BYTES_MAX + 2 - sizeof(mark));
	return text_of(whole);
}

static void send_beat(struct agent *agent, struct actions *actions)
{
	struct agent_action_beat *beat = &action_add(actions, ACTION_BEAT)->beat;
	const struct compartment *list = agent->compartments.list;
	beat->commit = text_of(agent->sight.commit.value);
	beat->system = text_of(agent->sight.system.value);
	beat->command = text_of(agent->going.command);
	beat->pid = agent->going.pid;
	beat->git_status = list[COMPARTMENT_GIT].status;
	beat->git_message = text_of(list[COMPARTMENT_GIT].message);
	beat->git_wall_ms = list[COMPARTMENT_GIT].wall_ms;
	beat->lock_status = list[COMPARTMENT_LOCK].status;
	beat->lock_message = text_of(list[COMPARTMENT_LOCK].message);
	beat->lock_wall_ms = list[COMPARTMENT_LOCK].wall_ms;
	beat->system_status = list[COMPARTMENT_SYSTEM].status;
	beat->system_message = system_message(agent);
	beat->system_wall_ms = list[COMPARTMENT_SYSTEM].wall_ms;
	beat->tests_status = list[COMPARTMENT_TESTS].status;
	beat->tests_message = text_of(list[COMPARTMENT_TESTS].message);
	beat->tests_wall_ms = list[COMPARTMENT_TESTS].wall_ms;
	agent->session.is_beating = false;
	agent->session.is_beaten = true;
}

void session_looked(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions)
{
	struct session *session = &agent->session;
	if (session->look == 0 || session->look != looked->id)
		return;
	session->look = 0;
	request_see(agent, now, looked, actions);
	delivery_facts_known(agent);
	if (session->state == SESSION_LOOKING)
		announce(agent, now, actions);
	else if (session->state == SESSION_UP && session->is_beating)
		send_beat(agent, actions);
}

void session_probed(struct agent *agent, const struct agent_event_probed *probed)
{
	struct session *session = &agent->session;
	int64_t seconds = 0;
	if (session->lock_probe == 0 || session->lock_probe != probed->id)
		return;
	session->lock_probe = 0;
	for (uint32_t i = 0; i < probed->value.size && i < 12; i++)
		seconds = seconds * 10 + (probed->value.data[i] - '0');
	if (probed->good && probed->value.size > 0)
		compartments_lock(&agent->compartments, seconds, probed->wall_ms);
	delivery_lock_known(agent);
}

void session_pinged(struct agent *agent, const struct agent_event_pinged *pinged)
{
	if (agent->session.ping.sequence == pinged->sequence)
		agent->session.ping.offset = pinged->offset;
}

void session_pong(struct agent *agent, struct mono now, const struct agent_event_pong *pong,
	struct actions *actions)
{
	struct session *session = &agent->session;
	struct session_ping *ping = &session->ping;
	if (session->state != SESSION_UP || !ping->is_out || ping->sequence != pong->sequence)
		return;
	ping->is_out = false;
	was_heard(session, now);
	contact_was_good(&agent->contact, now);
	ping->due = mono_after(
		now, agent->feed.is_unproven ? SESSION_PING_STREAM_MS : SESSION_PING_EVERY_MS);
	delivery_pong(agent, now, ping, actions);
}

void session_hasten(struct agent *agent, struct mono now)
{
	if (agent->session.state == SESSION_UP)
		agent->session.beat_due = now;
}

void session_ping_within(struct agent *agent, struct mono now, uint64_t ms)
{
	struct session_ping *ping = &agent->session.ping;
	if (agent->session.state == SESSION_UP)
		ping->due = mono_earlier(ping->due, mono_after(now, ms));
}

uint64_t session_barrier(struct agent *agent, struct mono now)
{
	session_ping_within(agent, now, 0);
	return agent->session.ping.sequence + 1;
}

static void ping(struct agent *agent, struct actions *actions)
{
	struct session_ping *ping = &agent->session.ping;
	check(!ping->is_out);
	ping->is_out = true;
	ping->offset = 0;
	memcpy(ping->run, agent->feed.run, sizeof(ping->run));
	agent->feed.is_unproven = false;
	action_add(actions, ACTION_PING)->ping.sequence = ++ping->sequence;
}

static void beat(struct agent *agent, struct mono now, struct actions *actions)
{
	struct session *session = &agent->session;
	struct mono next = mono_after(session->beat_due, agent->limits.interval_ms);
	/* Not one for each that was missed while the process did not run. */
	session->beat_due = mono_reached(now, next) ? mono_after(now, agent->limits.interval_ms)
						    : next;
	session->is_beating = true;
	session_look(agent, actions);
}

static struct mono silent_at(const struct session *session)
{
	return mono_earlier(session->doubt_due, mono_after(session->heard, SESSION_SILENT_MS));
}

void session_network(struct agent *agent, struct mono now, struct actions *actions)
{
	struct session *session = &agent->session;
	contact_network(&agent->contact, now);
	if (session->state == SESSION_CONNECTING)
		action_add(actions, ACTION_HURRY)->hurry.id = session->id;
	if (session->state != SESSION_UP)
		return;
	/* The way that the connection took may be gone: is anybody still there? */
	session->doubt_due = mono_after(now, SESSION_DOUBT_MS);
	if (!session->ping.is_out)
		session->ping.due = now;
}

static void up(struct agent *agent, struct mono now, struct actions *actions)
{
	struct session *session = &agent->session;
	if (mono_reached(now, silent_at(session))) {
		session_close(agent, "the dashboard is silent", actions);
		return;
	}
	/* What must be read in order: a status, the heartbeat that completes it, the ping that
	 * proves both. */
	delivery_next(agent, now, actions);
	if (mono_reached(now, session->beat_due) && session->look == 0)
		beat(agent, now, actions);
	if (!session->ping.is_out && mono_reached(now, session->ping.due))
		ping(agent, actions);
	if (mono_reached(now, session->lock_due)) {
		session->lock_due = mono_after(now, LOCK_LOOK_EVERY_MS);
		session->lock_probe = request_probe(agent, "lock-age", actions);
	}
}

void session_next(struct agent *agent, struct mono now, struct actions *actions)
{
	struct session *session = &agent->session;
	switch (session->state) {
	case SESSION_DOWN:
		if (mono_reached(now, contact_due(&agent->contact)))
			begin(agent, now, actions);
		break;
	case SESSION_CONNECTING:
	case SESSION_LOOKING:
	case SESSION_CLOSING: break;
	case SESSION_REGISTERING:
		if (mono_reached(now, session->due))
			session_close(agent, "the registration is not answered", actions);
		break;
	case SESSION_UP: up(agent, now, actions); break;
	}
}

struct mono session_due(const struct agent *agent)
{
	const struct session *session = &agent->session;
	struct mono due = MONO_NEVER;
	switch (session->state) {
	case SESSION_DOWN: return contact_due(&agent->contact);
	case SESSION_CONNECTING:
	case SESSION_LOOKING:
	case SESSION_CLOSING: break;
	case SESSION_REGISTERING: return session->due;
	case SESSION_UP:
		due = silent_at(session);
		if (session->look == 0)
			due = mono_earlier(due, session->beat_due);
		if (!session->ping.is_out)
			due = mono_earlier(due, session->ping.due);
		due = mono_earlier(due, session->lock_due);
		due = mono_earlier(due, delivery_due(agent));
		break;
	}
	return due;
}
