/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any events in any order to the core. What must hold: never two requests or connections at a time;
 * a due time that is reached is dealt with; no command of an answer is lost; nothing is sent
 * without a connection, and no output after its status; after leaving nothing is wanted.
 */
#include <stdint.h>
#include <string.h>

#include "proto/base/check.h"
#include "worker/core/agent.h"

#define TEXT_BYTES_MAX 12

struct input {
	const uint8_t *data;
	size_t left;
};

struct world {
	struct agent agent;
	struct mono now;
	uint64_t flying; /* the request or connection under way, 0 for none */
	bool is_connected;
	bool is_pinged; /* and the pong did not come */
	uint64_t looking;
	uint64_t probing;
	uint64_t handed;   /* commands that came in answers */
	uint64_t accepted; /* commands that were handed over */
	bool left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

static struct text take_text(struct input *input)
{
	uint32_t size = take(input) % TEXT_BYTES_MAX;
	if (size > input->left)
		size = (uint32_t)input->left;
	struct text text = {(const char *)input->data, size};
	input->data += size;
	input->left -= size;
	if (size > 0 && memchr(text.data, 0, size))
		return TEXT_NONE;
	return text;
}

/* Mostly an id that means something now. */
static uint64_t take_id(struct world *world, struct input *input)
{
	uint8_t choice = take(input);
	switch (choice % 4) {
	case 0: return world->flying;
	case 1: return world->looking;
	case 2: return world->probing;
	}
	return choice;
}

static void take_field(struct world *world, struct input *input, const struct schema_field *field,
	struct agent_event *event)
{
	char *at = (char *)&event->begin + field->offset;
	uint64_t number = take(input);
	int64_t integer = (int8_t)number;
	bool flag = number & 1;
	struct text text;
	switch (field->kind) {
	case SCHEMA_UINT:
		if (strcmp(field->name, "id") == 0)
			number = take_id(world, input);
		else if (strcmp(field->name, "sequence") == 0 && flag)
			number = world->agent.session.ping.sequence;
		else if (strcmp(field->name, "code") == 0)
			number = 200 + 100 * (number % 4) + number % 32;
		else if (strcmp(field->name, "result") == 0)
			number = 1 + number % ANSWER_NONE;
		else if (number > field->max)
			number = field->max;
		memcpy(at, &number, sizeof(number));
		return;
	case SCHEMA_INT: memcpy(at, &integer, sizeof(integer)); return;
	case SCHEMA_BOOL: memcpy(at, &flag, sizeof(flag)); return;
	case SCHEMA_TEXT:
	case SCHEMA_BYTES:
		text = strcmp(field->name, "command") == 0 && flag
			       ? text_of(number & 2 ? "switch" : "test")
			       : take_text(input);
		memcpy(at, &text, sizeof(text));
		return;
	}
}

static void note_request(struct world *world, uint64_t id)
{
	check(world->flying == 0);
	world->flying = id;
}

/* Whatever an action lends is still there, and within its limits. */
static void check_lent(const struct agent_action *action)
{
	static struct bytes frame = {.size_max = FRAME_BYTES_MAX + FRAME_HEAD_BYTES};
	bytes_clear(&frame);
	check(agent_action_encode(action, &frame) == 0);
}

static void note(struct world *world, const struct agent_action *action)
{
	check(!world->left);
	check_lent(action);
	switch (action->type) {
	case ACTION_LOOK: world->looking = action->look.id; return;
	case ACTION_PROBE: world->probing = action->probe.id; return;
	case ACTION_HEARTBEAT: note_request(world, action->heartbeat.id); return;
	case ACTION_STATUS: note_request(world, action->status.id); return;
	case ACTION_PROGRESS: note_request(world, action->progress.id); return;
	case ACTION_RUN: world->accepted++; return;
	case ACTION_CONNECT:
		check(!world->is_connected);
		note_request(world, action->connect.id);
		return;
	case ACTION_ANNOUNCE:
	case ACTION_BEAT:
	case ACTION_REPORT:
	case ACTION_REJECT:
	case ACTION_STAGE:
	case ACTION_TESTS:
	case ACTION_STREAM:
	case ACTION_LINE: check(world->is_connected); return;
	case ACTION_PING:
		check(world->is_connected && !world->is_pinged);
		world->is_pinged = true;
		return;
	case ACTION_CLOSE:
	case ACTION_UNSTREAM:
	case ACTION_SENT:
	case ACTION_CANCEL:
	case ACTION_RESTART: return;
	case ACTION_HURRY: check(action->hurry.id == world->flying); return;
	case ACTION_LEAVE: world->left = true; return;
	case ACTION_KEEP:
	case ACTION_UNKEPT:
	case ACTION_FOLLOW:
	case ACTION_UNFOLLOW:
	case ACTION_DELIVERED:
	case ACTION_UNDELIVERABLE:
	case ACTION_OVERFLOW: return;
	}
}

static void note_connection(struct world *world, const struct agent_event *event)
{
	if (world->agent.limits.protocol != PROTOCOL_WEBSOCKET || world->flying == 0)
		return;
	if (event->type == EVENT_CONNECTED && event->connected.id == world->flying)
		world->is_connected = true;
	if (event->type == EVENT_PONG && event->pong.sequence == world->agent.session.ping.sequence)
		world->is_pinged = false;
	if (event->type == EVENT_CLOSED && event->closed.id == world->flying) {
		world->is_connected = world->is_pinged = false;
		world->flying = 0;
	}
}

static void step(struct world *world, const struct agent_event *event)
{
	struct actions actions;
	bool is_answer = world->agent.limits.protocol == PROTOCOL_HTTP &&
			 event->type == EVENT_ANSWER && event->answer.id == world->flying &&
			 world->flying != 0;
	if (is_answer && !world->left) {
		world->handed += event->answer.command.size > 0;
		world->flying = 0;
	}
	bool had_left = world->left;
	note_connection(world, event);
	agent_step(&world->agent, world->now, event, &actions);
	check(!had_left || actions.count == 0);
	for (uint32_t i = 0; i < actions.count; i++)
		note(world, &actions.list[i]);
	check(world->agent.limits.protocol != PROTOCOL_HTTP || world->handed == world->accepted);
	check(!world->left || agent_due(&world->agent).ns == MONO_NEVER.ns);
}

static void let_time_pass(struct world *world, uint8_t how)
{
	struct mono due = agent_due(&world->agent);
	if (how < 64) {
		world->now.ns += (uint64_t)how * NS_PER_MS * (how % 2 ? 1 : 1000);
		return;
	}
	if (how > 160 || due.ns == MONO_NEVER.ns)
		return;
	if (due.ns > world->now.ns)
		world->now = due;
	step(world, &(struct agent_event){.type = EVENT_DUE});
	check(agent_due(&world->agent).ns > world->now.ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct input input = {data, size};
	const struct schema *schema = agent_event_schema();
	uint8_t flags = take(&input);
	const struct agent_limits limits = {.protocol = flags & 1 ? PROTOCOL_HTTP : flags % 3,
		.interval_ms = 1 + (uint64_t)take(&input) * 100,
		.spread_ms = (uint64_t)take(&input) * 100,
		.seed = flags,
		.has_own_token = flags & 2,
		.has_shared_token = flags & 4};
	memset(&world, 0, sizeof(world));
	agent_init(&world.agent, &limits);
	if (flags & 8)
		step(&world, &(struct agent_event){.type = EVENT_OPEN});
	while (input.left > 0) {
		const struct schema_type *type = &schema->types[take(&input) % schema->type_count];
		struct agent_event event = {.type = type->id};
		let_time_pass(&world, take(&input));
		for (uint32_t i = 0; i < type->field_count; i++)
			take_field(&world, &input, &type->fields[i], &event);
		step(&world, &event);
	}
	return 0;
}
