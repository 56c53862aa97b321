/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/heard.h"

static struct agent_event_ended ended(const struct message_ended *said, struct wall now)
{
	return (struct agent_event_ended){.run = said->run,
		.command = said->command,
		.outcome = said->outcome,
		.code = said->code,
		.reason = said->reason,
		.summary = said->summary,
		.owed = said->owed,
		.sent = said->sent,
		.wall_ms = wall_ms(now),
		.again = said->again};
}

#define IS(NAME, ...) (*event = (struct agent_event){.type = NAME, __VA_ARGS__}, true)

bool heard_event(const struct message *message, struct wall now, struct agent_event *event)
{
	const struct message_started *started = &message->started;
	const struct message_history *past = &message->history;
	switch (message->type) {
	case MESSAGE_OPEN: return IS(EVENT_OPEN, .open = {message->open.waited_ms});
	case MESSAGE_NETWORK: return IS(EVENT_NETWORK, .network = {message->network.sequence});
	case MESSAGE_ACCEPTED:
		return IS(EVENT_ACCEPTED,
			.accepted = {message->accepted.request, message->accepted.run});
	case MESSAGE_STARTED:
		return IS(EVENT_STARTED, .started = {started->run, started->command, started->owed,
						 started->pid, started->sent, wall_ms(now)});
	case MESSAGE_ENDED: return IS(EVENT_ENDED, .ended = ended(&message->ended, now));
	case MESSAGE_KEPT: return IS(EVENT_KEPT, .kept = {message->kept.kept});
	case MESSAGE_MARKED: return IS(EVENT_MARKED, .marked = {message->marked.run});
	case MESSAGE_PAUSED: return IS(EVENT_PAUSED, .paused = {message->paused.paused});
	case MESSAGE_STOP: return IS(EVENT_STOP, .stop = {message->stop.grace_ms});
	case MESSAGE_HISTORY:
		return IS(EVENT_HISTORY, .history = {past->command, past->outcome, past->code,
						 past->reason, past->summary, past->wall_ms});
	case MESSAGE_HELLO:
	case MESSAGE_PING:
	case MESSAGE_PROBED:
	case MESSAGE_READY:
	case MESSAGE_PONG:
	case MESSAGE_RUN:
	case MESSAGE_CANCEL:
	case MESSAGE_SENT:
	case MESSAGE_DELIVERED:
	case MESSAGE_UNDELIVERABLE:
	case MESSAGE_PROBE:
	case MESSAGE_TOKEN:
	case MESSAGE_LEAVE: return false;
	}
	return false;
}
