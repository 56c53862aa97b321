/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Row 12: a whole fleet of the worker's cores, whose dashboard was started anew. */
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/sim/scenario.h"
#include "worker/core/agent.h"

#define FLEET_SECONDS 600
#define INTERVAL_MS   30000
#define DOWN_NS       (60 * NS_PER_S)
#define UP_NS         (90 * NS_PER_S)

struct host {
	struct agent agent;
	uint64_t asks; /* the request or the connection that is on its way; 0: none */
	uint64_t open; /* the connection that stands; 0: none */
	bool is_back;
};

static uint32_t arrivals[FLEET_SECONDS];

static void step(struct host *host, struct mono now, const struct agent_event *event);

/* The answer to what the core asks for; down: nobody is there. */
static void perform(struct host *host, struct mono now, const struct actions *actions)
{
	for (uint32_t i = 0; i < actions->count; i++) {
		const struct agent_action *action = &actions->list[i];
		if (action->type == ACTION_LOOK) {
			struct agent_event looked = {.type = EVENT_LOOKED,
				.looked = {.id = action->look.id, .commit = text_of("abc1234")}};
			step(host, now, &looked);
			return;
		}
		if (action->type == ACTION_HEARTBEAT)
			host->asks = action->heartbeat.id;
		if (action->type == ACTION_CONNECT)
			host->asks = action->connect.id;
		if (action->type == ACTION_ANNOUNCE) {
			step(host, now,
				&(struct agent_event){.type = EVENT_REGISTERED,
					.registered = {.host = text_of("h")}});
			return;
		}
		if (action->type == ACTION_PING) {
			step(host, now,
				&(struct agent_event){
					.type = EVENT_PONG, .pong = {action->ping.sequence}});
			return;
		}
	}
}

static void step(struct host *host, struct mono now, const struct agent_event *event)
{
	struct actions actions;
	agent_step(&host->agent, now, event, &actions);
	perform(host, now, &actions);
}

static void hang_up(struct host *host, struct mono now)
{
	struct agent_event event = {
		.type = EVENT_CLOSED, .closed = {.id = host->open, .reason = TEXT_NONE}};
	host->open = 0;
	step(host, now, &event);
}

static void upgrade(struct host *host, struct mono now, bool is_up)
{
	struct agent_event event = {.type = EVENT_CONNECTED, .connected = {.id = host->asks}};
	host->open = host->asks;
	host->asks = 0;
	if (is_up)
		step(host, now, &event);
	else
		hang_up(host, now);
}

static void answer(struct host *host, struct mono now, bool is_up)
{
	struct agent_event event = {.type = EVENT_ANSWER,
		.answer = {.id = host->asks,
			.result = is_up ? ANSWER_GOOD : ANSWER_NONE,
			.code = is_up ? 200 : 0,
			.command = TEXT_NONE,
			.reason = TEXT_NONE}};
	host->asks = 0;
	step(host, now, &event);
}

/* One host through the fall of its dashboard at 60 s and its return at 90 s. */
static void live(struct host *host, uint64_t seed, uint64_t spread_ms, bool is_websocket)
{
	const struct agent_limits limits = {
		.protocol = is_websocket ? PROTOCOL_WEBSOCKET : PROTOCOL_HTTP,
		.interval_ms = INTERVAL_MS,
		.spread_ms = spread_ms,
		.seed = seed * UINT64_C(0x9e3779b97f4a7c15),
		.has_shared_token = true};
	struct mono now = {NS_PER_S + seed % INTERVAL_MS * NS_PER_MS};
	memset(host, 0, sizeof(*host));
	agent_init(&host->agent, &limits);
	step(host, now, &(struct agent_event){.type = EVENT_OPEN});
	while (now.ns < FLEET_SECONDS * NS_PER_S) {
		bool is_up = now.ns < DOWN_NS || now.ns >= UP_NS;
		if (host->asks) {
			/* Heartbeats after that come at their own pace, whatever the spread. */
			bool comes_back = is_up && now.ns >= UP_NS && !host->is_back;
			arrivals[now.ns / NS_PER_S] += comes_back;
			host->is_back |= comes_back;
			if (is_websocket)
				upgrade(host, now, is_up);
			else
				answer(host, now, is_up);
			continue;
		}
		if (host->open && !is_up) {
			hang_up(host, now);
			continue;
		}
		struct mono due = agent_due(&host->agent);
		/* Its end is felt at once. */
		if (host->open && now.ns < DOWN_NS && due.ns > DOWN_NS)
			due.ns = DOWN_NS;
		now = due.ns > now.ns ? due : now;
		if (host->open && now.ns == DOWN_NS)
			continue;
		if (now.ns < FLEET_SECONDS * NS_PER_S)
			step(host, now, &(struct agent_event){.type = EVENT_DUE});
	}
}

uint32_t fleet_comes_back(uint32_t hosts, uint64_t spread_ms, bool is_websocket)
{
	struct host *host = calloc(1, sizeof(*host));
	uint32_t peak = 0;
	check(host != NULL);
	memset(arrivals, 0, sizeof(arrivals));
	for (uint32_t i = 0; i < hosts; i++)
		live(host, i + 1, spread_ms, is_websocket);
	for (int i = 90; i < 150; i++)
		peak = arrivals[i] > peak ? arrivals[i] : peak;
	free(host);
	return peak;
}
