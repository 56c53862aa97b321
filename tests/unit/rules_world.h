/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A rules core and a clock for its tests: events in, the actions of the last step to look at. */
#pragma once

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
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

/* The dashboard's worker hands over a command; the run's place, as the store action names it. */
static inline uint32_t world_ask(struct world *world, const char *command, uint64_t request)
{
	world_says(world, (struct message){.type = MESSAGE_RUN,
				  .run = {.request = request, .command = text_of(command)}});
	const struct rules_action *action = world_stored(world, ACT_ACCEPT);
	cr_assert(action != NULL);
	return action->run;
}

/* And the disk takes it. */
static inline uint32_t world_accept(struct world *world, const char *command, uint64_t request)
{
	uint32_t run = world_ask(world, command, request);
	world_done(world, ACT_ACCEPT, run, 0);
	return run;
}

/* A client of the control socket asks for it. */
static inline void world_client_asks(struct world *world, const char *command)
{
	struct rules_event event = world_event(world, EVENT_ASKED_RUN);
	event.asked_run.client = 3;
	event.asked_run.command = text_of(command);
	world_step(world, event);
}

static inline const struct rules_action *world_replied(const struct world *world)
{
	for (uint32_t i = 0; i < world->actions.count; i++) {
		if (world->actions.list[i].type == ACTION_REPLY)
			return &world->actions.list[i];
	}
	return NULL;
}

static inline void world_runner_begins(struct world *world, uint32_t run)
{
	struct rules_event event = world_event(world, EVENT_RUNNER_REPORTED_START);
	event.runner_started.run = run;
	world_step(world, event);
}

/* Accepted, and its runner began it. */
static inline uint32_t world_begin(struct world *world, const char *command, uint64_t request)
{
	uint32_t run = world_accept(world, command, request);
	world_runner_begins(world, run);
	return run;
}

/* is_kept: the runner's disk took the result. */
static inline void world_runner_ends(struct world *world, uint32_t run, int64_t code, bool is_kept)
{
	struct rules_event event = world_event(world, EVENT_RUNNER_REPORTED_RESULT);
	event.result.run = run;
	event.result.outcome = OUTCOME_EXITED;
	event.result.code = code;
	event.result.reason = text_of("why");
	event.result.summary = text_of("7/8 pass");
	event.result.is_kept = is_kept;
	world_step(world, event);
}

static inline void world_runner_exits(struct world *world, uint32_t run)
{
	struct rules_event event = world_event(world, EVENT_RUNNER_EXITED);
	event.runner_exited.run = run;
	event.runner_exited.why = TEXT_NONE;
	world_step(world, event);
}

/* The dashboard has its outcome. */
static inline void world_delivered(struct world *world, uint32_t run)
{
	world_says(world, (struct message){.type = MESSAGE_DELIVERED,
				  .delivered = {.run = text_of(world->rules.runs[run].name)}});
}

static inline void world_cancel(struct world *world, bool is_kill)
{
	struct rules_event cancel = world_event(world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.client = 3;
	cancel.asked_cancel.run = TEXT_NONE;
	cancel.asked_cancel.is_kill = is_kill;
	world_step(world, cancel);
}

static inline void world_find(struct world *world, uint32_t number, enum record_state state,
	bool is_live, uint64_t mono_ms)
{
	char name[32];
	struct record record = {.state = state,
		.sequence = number,
		.origin = ORIGIN_DASHBOARD,
		.command = "pull",
		.pid = state == RECORD_WAITING ? 0 : 4711,
		.start_ticks = state == RECORD_WAITING ? 0 : 99,
		.started_mono_ms = mono_ms,
		.deadline_ms = 120000};
	struct rules_event event = world_event(world, EVENT_FOUND);
	snprintf(name, sizeof(name), "run-%02u", number);
	event.found.name = text_of(name);
	event.found.record = &record;
	event.found.is_owed = true;
	event.found.is_live = is_live;
	world_step(world, event);
}

static inline void world_settles(struct world *world, uint32_t run, enum rules_act act,
	enum record_state state, bool is_live)
{
	struct record record = {.state = state,
		.outcome = state == RECORD_FINISHED ? OUTCOME_LOST : OUTCOME_NONE,
		.origin = ORIGIN_DASHBOARD,
		.command = "pull",
		.pid = state == RECORD_WAITING ? 0 : 4711,
		.start_ticks = state == RECORD_WAITING ? 0 : 99,
		.started_mono_ms = 1000,
		.deadline_ms = 120000};
	struct rules_event event = world_event(world, EVENT_STORED);
	event.stored.act = act;
	event.stored.run = run;
	event.stored.record = &record;
	event.stored.is_live = is_live;
	world_step(world, event);
}
