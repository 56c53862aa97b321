/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "worker/core/agent.h"
#include "worker/core/news.h"

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

Test(rate, a_window_slides)
{
	struct rate rate = {0};
	rate_init(&rate, 3);
	for (uint64_t ms = 0; ms < 3; ms++) {
		cr_assert(eq(u64, rate_due(&rate).ns, 0));
		rate_sent(&rate, at(ms * 1000));
	}
	cr_assert(eq(u64, rate_due(&rate).ns, at(RATE_WINDOW_MS).ns));
	rate_sent(&rate, at(RATE_WINDOW_MS));
	cr_assert(eq(u64, rate_due(&rate).ns, at(RATE_WINDOW_MS + 1000).ns));
}

Test(dice, throws_stay_below_and_reach_the_most)
{
	struct dice dice;
	bool seen[5] = {false};
	dice_init(&dice, 42);
	for (int i = 0; i < 200; i++) {
		uint64_t value = dice_throw(&dice, 4);
		cr_assert(le(u64, value, 4));
		seen[value] = true;
	}
	for (int i = 0; i < 5; i++)
		cr_assert(seen[i]);
	cr_assert(eq(u64, dice_throw(&dice, 0), 0));
}

/* --- The whole core against a dashboard that behaves in one way --- */

struct world {
	struct agent agent;
	struct actions actions;
	uint64_t ms;
	uint32_t heartbeats;
	uint32_t reports;
	uint32_t delivered;
	uint32_t overflows;
	uint32_t progress;
	bool is_away; /* no connection is made, and none is refused */
	struct agent_event_answer heartbeat_answer;
	struct agent_event_answer report_answer;
	struct news news;
	uint32_t news_count;
	uint64_t said_ms;
	struct message_pong said; /* with the last of them */
};

static void step(struct world *world, const struct agent_event *event);

static void answer(struct world *world, uint64_t id, const struct agent_event_answer *with)
{
	struct agent_event event = {.type = EVENT_ANSWER, .answer = *with};
	event.answer.id = id;
	event.answer.command = event.answer.reason = TEXT_NONE;
	world->ms += 3;
	step(world, &event);
}

/* A WebSocket dashboard that takes and answers everything. */
static void react_session(struct world *world, const struct agent_action *action)
{
	char run[RUN_NAME_BYTES_MAX + 1];
	switch ((int)action->type) {
	case ACTION_CONNECT:
		if (world->is_away)
			return;
		step(world, &(struct agent_event){
				    .type = EVENT_CONNECTED, .connected = {action->connect.id}});
		return;
	case ACTION_ANNOUNCE: step(world, &(struct agent_event){.type = EVENT_REGISTERED}); return;
	case ACTION_BEAT: world->heartbeats++; return;
	case ACTION_STREAM:
		text_copy(action->stream.run, run, sizeof(run));
		if (action->stream.ended)
			step(world, &(struct agent_event){
					    .type = EVENT_STREAMED, .streamed = {text_of(run)}});
		return;
	case ACTION_REPORT: world->reports++; return;
	case ACTION_PING:
		step(world,
			&(struct agent_event){.type = EVENT_PONG, .pong = {action->ping.sequence}});
		return;
	}
}

static void react(struct world *world, const struct agent_action *action)
{
	char run[RUN_NAME_BYTES_MAX + 1];
	switch ((int)action->type) {
	case ACTION_PROBE:
		step(world, &(struct agent_event){
				    .type = EVENT_PROBED, .probed = {.id = action->probe.id}});
		return;
	case ACTION_LOOK:
		step(world, &(struct agent_event){.type = EVENT_LOOKED,
				    .looked = {action->look.id, TEXT_NONE, false, false}});
		return;
	case ACTION_HEARTBEAT:
		world->heartbeats++;
		answer(world, action->heartbeat.id, &world->heartbeat_answer);
		return;
	case ACTION_STATUS:
		world->reports++;
		answer(world, action->status.id, &world->report_answer);
		return;
	case ACTION_PROGRESS:
		world->progress++;
		answer(world, action->progress.id, &world->report_answer);
		return;
	case ACTION_DELIVERED:
		world->delivered++;
		text_copy(action->delivered.run, run, sizeof(run));
		step(world, &(struct agent_event){.type = EVENT_MARKED, .marked = {text_of(run)}});
		return;
	case ACTION_OVERFLOW: world->overflows++; return;
	}
	react_session(world, action);
}

static void step(struct world *world, const struct agent_event *event)
{
	struct actions actions;
	agent_step(&world->agent, at(world->ms), event, &actions);
	for (uint32_t i = 0; i < actions.count; i++)
		react(world, &actions.list[i]);
	if (!news_is(&world->news, &world->agent))
		return;
	world->news_count++;
	world->said_ms = world->ms;
	world->said = news_pong(&world->agent, at(world->ms), 0).pong;
}

static void owe(struct world *world, const char *run)
{
	step(world, &(struct agent_event){.type = EVENT_ENDED,
			    .ended = {.run = text_of(run),
				    .command = text_of("pull"),
				    .outcome = OUTCOME_EXITED,
				    .reason = TEXT_NONE,
				    .summary = TEXT_NONE,
				    .owed = true}});
}

static struct world *make_with(enum protocol protocol, uint64_t interval_ms)
{
	static struct world world;
	const struct agent_limits limits = {.protocol = protocol,
		.interval_ms = interval_ms,
		.spread_ms = 5000,
		.seed = 7,
		.has_own_token = true,
		.has_shared_token = true};
	memset(&world, 0, sizeof(world));
	memset(&world.agent, 0xa5, sizeof(world.agent)); /* whatever was there */
	agent_init(&world.agent, &limits);
	news_init(&world.news);
	world.heartbeat_answer.result = world.report_answer.result = ANSWER_GOOD;
	world.heartbeat_answer.code = world.report_answer.code = 200;
	return &world;
}

static struct world *make(uint64_t interval_ms)
{
	return make_with(PROTOCOL_HTTP, interval_ms);
}

/* Jumps from due to due until ms; a due that does not move time on is a hot loop. */
static void run_until(struct world *world, uint64_t ms)
{
	for (uint32_t turns = 0; turns < 100000; turns++) {
		struct mono due = agent_due(&world->agent);
		if (due.ns == MONO_NEVER.ns || due.ns / NS_PER_MS >= ms) {
			world->ms = ms;
			return;
		}
		if (due.ns > at(world->ms).ns)
			world->ms = (due.ns + NS_PER_MS - 1) / NS_PER_MS;
		step(world, &(struct agent_event){.type = EVENT_DUE});
	}
	cr_fatal("the core turns without end");
}

static void open_gate(struct world *world)
{
	step(world, &(struct agent_event){.type = EVENT_OPEN});
}

static const enum protocol protocols[] = {PROTOCOL_HTTP, PROTOCOL_WEBSOCKET};

Test(agent, beats_at_its_interval)
{
	for (int i = 0; i < 2; i++) {
		struct world *world = make_with(protocols[i], 30000);
		open_gate(world);
		run_until(world, 300000);
		cr_assert(ge(u32, world->heartbeats, 10));
		cr_assert(le(u32, world->heartbeats, 12));
	}
}

Test(agent, sends_at_most_twenty_reports_a_minute_and_keeps_beating)
{
	for (int i = 0; i < 2; i++) {
		struct world *world = make_with(protocols[i], 30000);
		char run[32];
		open_gate(world);
		for (int k = 0; k < 60; k++) {
			snprintf(run, sizeof(run), "r-%d", k);
			owe(world, run);
			run_until(world, world->ms + 500);
		}
		cr_assert(eq(u32, world->reports, REPORTS_MINUTE_MAX));
		run_until(world, 600000);
		/* The window holds 12 at a time; what came beyond it waits for the next worker. */
		cr_assert(eq(u32, world->delivered, world->reports));
		cr_assert(eq(u32, world->delivered + world->overflows, 60));
		cr_assert(gt(u32, world->overflows, 0));
		cr_assert(ge(u32, world->heartbeats, 20));
	}
}

Test(agent, tells_of_a_test_at_most_forty_five_times_a_minute)
{
	struct world *world = make(30000);
	open_gate(world);
	step(world, &(struct agent_event){.type = EVENT_STARTED,
			    .started = {.run = text_of("test-1"),
				    .command = text_of("test"),
				    .owed = true}});
	for (uint64_t ms = 1000; ms <= RATE_WINDOW_MS; ms += 100) {
		run_until(world, ms);
		step(world, &(struct agent_event){.type = EVENT_PROGRESSED,
				    .progressed = {.run = text_of("test-1"), .stage = TEXT_NONE}});
	}
	cr_assert(eq(u32, world->progress, PROGRESS_MINUTE_MAX));
}

Test(agent, never_turns_in_a_circle)
{
	static const struct {
		struct agent_event_answer heartbeat;
		struct agent_event_answer report;
	} rows[] = {
		{{.result = ANSWER_NONE}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_GARBAGE, .code = 200}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_CODE, .code = 401}, {.result = ANSWER_CODE, .code = 401}},
		{{.result = ANSWER_CODE, .code = 403}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_CODE, .code = 302}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_CODE, .code = 500}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_CODE, .code = 429}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_CODE, .code = 429, .retry_after_ms = 1},
			{.result = ANSWER_NONE}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_NONE}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_GARBAGE, .code = 200}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_CODE, .code = 401}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_CODE, .code = 429}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_CODE, .code = 302}},
		{{.result = ANSWER_GOOD, .code = 200}, {.result = ANSWER_CODE, .code = 500}},
		{{.result = ANSWER_GOOD, .code = 200},
			{.result = ANSWER_CODE, .code = 503, .retry_after_ms = 1}},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct world *world = make(30000);
		world->heartbeat_answer = rows[row].heartbeat;
		world->report_answer = rows[row].report;
		open_gate(world);
		owe(world, "r-1");
		owe(world, "r-2");
		for (int minute = 1; minute <= 30; minute++) {
			uint32_t before = world->heartbeats;
			uint32_t reports = world->reports;
			run_until(world, (uint64_t)minute * 60000);
			cr_assert(le(u32, world->heartbeats - before, 40), "row %zu minute %d", row,
				minute);
			cr_assert(le(u32, world->reports - reports, REPORTS_MINUTE_MAX));
		}
		/* And it comes back as soon as the dashboard does. */
		world->heartbeat_answer = (struct agent_event_answer){
			.result = ANSWER_GOOD, .code = 200};
		world->report_answer = world->heartbeat_answer;
		run_until(world, 2 * 3600000);
		cr_assert(eq(u32, world->delivered, 2), "row %zu", row);
	}
}

Test(agent, without_a_dashboard_nothing_is_ever_asked)
{
	struct world *world = make(30000);
	world->agent.limits.protocol = PROTOCOL_NONE;
	open_gate(world);
	owe(world, "r-1");
	run_until(world, 600000);
	cr_assert(eq(u32, world->heartbeats + world->reports, 0));
	cr_assert(eq(int, (int)agent_link(&world->agent), LINK_NONE));
}

Test(agent, tells_of_the_link_when_it_changes)
{
	struct world *world = make(30000);
	open_gate(world);
	run_until(world, 600000);
	cr_assert(eq(u64, world->said.link, LINK_UP));
	cr_assert(eq(u64, world->said.retry_ms, UINT64_MAX));
	cr_assert(eq(u64, world->said.contact_ms, 0));
	cr_assert(le(u32, world->news_count, 2));
	/* From then on each try that fails brings the time of the next. */
	world->heartbeat_answer = (struct agent_event_answer){.result = ANSWER_CODE, .code = 500};
	for (int i = 0; i < 20; i++) {
		uint32_t beats = world->heartbeats;
		while (world->heartbeats == beats)
			run_until(world, world->ms + 100);
		cr_assert(eq(u64, world->said.link, LINK_WAITING));
		cr_assert(le(u64, world->said.retry_ms, RETRY_MAX_MS));
		cr_assert(eq(u64, world->said_ms + world->said.retry_ms,
			(agent_due(&world->agent).ns + NS_PER_MS - 1) / NS_PER_MS));
	}
	cr_assert(ge(u64, world->said.contact_ms, 60000));
}

static void close_session(struct world *world, uint64_t close_code)
{
	step(world, &(struct agent_event){.type = EVENT_CLOSED,
			    .closed = {.id = world->agent.session.id,
				    .close_code = close_code,
				    .reason = text_of("gone")}});
}

static uint64_t wait_ms(const struct world *world)
{
	return (agent_due(&world->agent).ns + NS_PER_MS - 1) / NS_PER_MS - world->ms;
}

Test(agent, tells_of_a_websocket_when_it_is_up_and_when_it_is_tried_again)
{
	struct world *world = make_with(PROTOCOL_WEBSOCKET, 30000);
	open_gate(world);
	cr_assert(eq(u64, world->said.link, LINK_UP));
	cr_assert(eq(u64, world->said.contact_ms, 0));
	uint32_t before = world->news_count;
	run_until(world, 600000);
	cr_assert(eq(u32, world->news_count, before));
	close_session(world, 0);
	cr_assert(eq(u64, world->said.link, LINK_WAITING));
	cr_assert(eq(u64, world->said.retry_ms, wait_ms(world)));
	cr_assert(le(u64, world->said.contact_ms, SESSION_PING_EVERY_MS));
	world->is_away = true;
	run_until(world, world->ms + wait_ms(world) + 1);
	cr_assert(eq(u64, world->said.link, LINK_CONNECTING));
	cr_assert(eq(u64, world->said.retry_ms, UINT64_MAX));
}

/* Two of one name must not take the place from each other for ever. */
Test(agent, one_that_is_evicted_stays_away_longer_each_time_up_to_five_minutes)
{
	struct world *world = make_with(PROTOCOL_WEBSOCKET, 30000);
	open_gate(world);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t pause_ms = SESSION_EVICTED_MIN_MS << i;
		if (pause_ms > SESSION_EVICTED_MAX_MS)
			pause_ms = SESSION_EVICTED_MAX_MS;
		cr_assert(eq(int, (int)agent_link(&world->agent), LINK_UP));
		close_session(world, 1005);
		cr_expect(ge(u64, wait_ms(world), pause_ms), "eviction %u", (unsigned)i);
		cr_expect(le(u64, wait_ms(world), pause_ms * 5 / 4), "eviction %u", (unsigned)i);
		run_until(world, world->ms + wait_ms(world) + 1);
	}
	/* Whoever had its place for long begins anew. */
	run_until(world, world->ms + SESSION_SETTLED_MS);
	close_session(world, 1005);
	cr_assert(le(u64, wait_ms(world), SESSION_EVICTED_MIN_MS * 5 / 4));
}
