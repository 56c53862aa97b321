/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The network gate: the worker is started meanwhile and held until a probe reached the dashboard,
 * or until GATE_OPEN_ANYWAY_MS have passed: a name that only the worker's own retries will ever
 * resolve must not keep it shut for ever.
 */
#include <stdio.h>

#include "supervisor/rules_parts.h"

static void probe(struct rules *rules, struct rules_actions *actions)
{
	struct rules_gate *gate = &rules->gate;
	gate->is_probing = true;
	gate->is_stale = false;
	gate->next = mono_after(rules->now, GATE_PROBE_EVERY_MS);
	rules_emit(actions, ACTION_PROBE);
}

static void open_gate(struct rules *rules, enum gate_state state, struct rules_actions *actions)
{
	struct rules_gate *gate = &rules->gate;
	uint64_t waited = mono_ms_since(rules->now, gate->since);
	gate->state = state;
	gate->since = rules->now;
	gate->next = MONO_NEVER;
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_OPEN, .open = {.waited_ms = waited}});
}

void gate_start(struct rules *rules, struct rules_actions *actions)
{
	rules->gate.since = rules->now;
	rules->gate.next = MONO_NEVER;
	if (rules->protocol == PROTOCOL_NONE) {
		rules->gate.state = GATE_NONE;
		return;
	}
	rules->gate.state = GATE_SHUT;
	text_copy(text_of("the first probe is under way"), rules->gate.reason,
		sizeof(rules->gate.reason));
	if (!rules->gate.is_probing)
		probe(rules, actions);
}

void gate_probed(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	struct rules_gate *gate = &rules->gate;
	bool is_good = event->probed.is_good;
	gate->is_probing = false;
	text_copy(event->probed.reason, gate->reason, sizeof(gate->reason));
	if (gate->state != GATE_SHUT) {
		worker_probed(rules, is_good, actions);
		return;
	}
	if (is_good)
		open_gate(rules, GATE_OPEN, actions);
	else if (gate->is_stale)
		probe(rules, actions);
}

void gate_network(struct rules *rules, struct rules_actions *actions)
{
	switch (rules->gate.state) {
	case GATE_NONE: break;
	case GATE_SHUT:
		if (rules->gate.is_probing)
			rules->gate.is_stale = true;
		else
			probe(rules, actions);
		break;
	case GATE_OPEN:
	case GATE_FORCED:
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_NETWORK,
				.network = {.sequence = rules->now.ns / NS_PER_MS}});
		break;
	}
}

void gate_due(struct rules *rules, struct rules_actions *actions)
{
	struct rules_gate *gate = &rules->gate;
	if (gate->state != GATE_SHUT)
		return;
	if (mono_reached(rules->now, mono_after(gate->since, GATE_OPEN_ANYWAY_MS)))
		open_gate(rules, GATE_FORCED, actions);
	else if (!gate->is_probing && mono_reached(rules->now, gate->next))
		probe(rules, actions);
}

struct mono gate_next(const struct rules *rules)
{
	const struct rules_gate *gate = &rules->gate;
	if (gate->state != GATE_SHUT)
		return MONO_NEVER;
	struct mono anyway = mono_after(gate->since, GATE_OPEN_ANYWAY_MS);
	return gate->is_probing ? anyway : mono_earlier(anyway, gate->next);
}
