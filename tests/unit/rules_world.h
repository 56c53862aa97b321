/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A rules core and a clock for its tests: events in, the actions of the last step to look at. */
#pragma once

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "supervisor/rules.h"

struct world {
	struct rules rules;
	struct rules_actions actions;
	uint64_t ms;
};

static inline struct rules_event world_event(struct world *world, enum rules_event_type type)
{
	return (struct rules_event){.type = type,
		.now = {world->ms * NS_PER_MS},
		.wall = {(int64_t)(world->ms * NS_PER_MS)}};
}

static inline void world_step(struct world *world, struct rules_event event)
{
	world->actions.count = 0;
	rules_step(&world->rules, &event, &world->actions);
}

static inline void world_start(struct world *world, enum protocol protocol)
{
	memset(&world->rules, 0, sizeof(world->rules));
	world->ms = 1000;
	rules_init(&world->rules);
	struct rules_event event = world_event(world, EVENT_START);
	event.start.seed = 7;
	event.start.protocol = protocol;
	event.start.token = TEXT_NONE;
	world_step(world, event);
}

/* Lets time pass until ms from now, with EVENT_DUE whenever it is due. */
static inline void world_pass(struct world *world, uint64_t ms)
{
	uint64_t end = world->ms + ms;
	world->actions.count = 0;
	for (;;) {
		struct mono due = rules_due(&world->rules);
		if (due.ns > end * NS_PER_MS)
			break;
		uint64_t at = (due.ns + NS_PER_MS - 1) / NS_PER_MS;
		world->ms = at > world->ms ? at : world->ms;
		world_step(world, world_event(world, EVENT_DUE));
		if (world->actions.count > 0)
			return; /* the caller looks at what happened */
	}
	world->ms = end;
}

static inline uint32_t world_count(const struct world *world, enum rules_action_type type)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < world->actions.count; i++)
		count += world->actions.list[i].type == type;
	return count;
}

static inline const struct message *world_sent(const struct world *world, enum message_type type)
{
	for (uint32_t i = 0; i < world->actions.count; i++) {
		const struct rules_action *action = &world->actions.list[i];
		if (action->type == ACTION_SEND && action->send.type == type)
			return &action->send;
	}
	return NULL;
}

static inline const struct rules_action *world_stored(const struct world *world, enum rules_act act)
{
	for (uint32_t i = 0; i < world->actions.count; i++) {
		const struct rules_action *action = &world->actions.list[i];
		if (action->type == ACTION_STORE && action->store.act == act)
			return action;
	}
	return NULL;
}

static inline void world_probed(struct world *world, bool is_good)
{
	struct rules_event event = world_event(world, EVENT_PROBED);
	event.probed.is_good = is_good;
	event.probed.reason = text_of(is_good ? "" : "no route to host");
	world_step(world, event);
}

static inline void world_says(struct world *world, struct message message)
{
	struct rules_event event = world_event(world, EVENT_WORKER_SAID);
	event.worker_said.epoch = world->rules.worker.epoch;
	event.worker_said.message = &message;
	world_step(world, event);
}

static inline void world_ready(struct world *world)
{
	world_says(world, (struct message){.type = MESSAGE_READY,
				  .ready = {.epoch = world->rules.worker.epoch}});
}

static inline void world_worker_exits(struct world *world)
{
	struct rules_event event = world_event(world, EVENT_WORKER_EXITED);
	event.worker_exited.epoch = world->rules.worker.epoch;
	event.worker_exited.why = text_of("signal 9");
	world_step(world, event);
}

static inline void world_done(struct world *world, enum rules_act act, uint32_t run, int error)
{
	struct rules_event event = world_event(world, EVENT_STORED);
	event.stored.act = act;
	event.stored.run = run;
	event.stored.error = error;
	world_step(world, event);
}

/* A host whose records are read, whose gate is open and whose worker is ready. */
static inline void world_up(struct world *world, enum protocol protocol)
{
	world_start(world, protocol);
	world_done(world, ACT_SCAN, RULES_NO_RUN, 0);
	if (protocol == PROTOCOL_NONE)
		return;
	world_probed(world, true);
	world_ready(world);
}
