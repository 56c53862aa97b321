/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any course of events to the supervisor's rules, as its shell could bring them: each action that
 * starts something ends once, in any order and with any result; the worker says anything. What must
 * hold: one worker, one probe, one act for a run at a time; a due time that is reached is dealt
 * with; nothing is said to be safe before it was stored; no more waits than may; nothing starts in
 * a pause.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/check.h"
#include "supervisor/rules.h"

#define PENDING_MAX 160

struct input {
	const uint8_t *data;
	size_t left;
};

struct pending {
	enum rules_act act;
	uint32_t run;
};

struct world {
	struct rules rules;
	struct rules_actions actions;
	uint64_t ns;
	struct pending stores[PENDING_MAX];
	uint32_t store_count;
	uint32_t runners[RUNS_KNOWN_MAX]; /* asked for or watched and not ended, by place */
	uint32_t looks;
	bool is_worker, is_probing, is_acting, is_over;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

static struct text take_name(struct world *world, struct input *input)
{
	static const char *const names[] = {
		"pull", "switch", "test", "restart", "reboot", "dance", "", "stop"};
	uint8_t choice = take(input);
	if (choice & 1)
		return text_of(world->rules.runs[choice / 2 % RUNS_KNOWN_MAX].name);
	return text_of(names[choice / 2 % (sizeof(names) / sizeof(names[0]))]);
}

static void note(struct world *world, const struct rules_action *action)
{
	switch (action->type) {
	case ACTION_PROBE:
		check(!world->is_probing);
		world->is_probing = true;
		break;
	case ACTION_WORKER_START:
		check(!world->is_worker);
		world->is_worker = true;
		break;
	case ACTION_STORE:
		for (uint32_t i = 0; i < world->store_count && action->run != RULES_NO_RUN; i++)
			check(world->stores[i].run != action->run);
		check(world->store_count < PENDING_MAX);
		world->stores[world->store_count++] = (struct pending){
			action->store.act, action->run};
		break;
	case ACTION_RUNNER_START:
	case ACTION_WATCH:
		check(action->type != ACTION_RUNNER_START || !world->rules.pause.is_on);
		world->runners[action->run]++;
		break;
	case ACTION_LOOK: world->looks++; break;
	case ACTION_ACT:
		check(!world->is_acting);
		world->is_acting = true;
		break;
	case ACTION_SEND:
		/* Safe only after it was stored; without a request it only waits. */
		if (action->send.type == MESSAGE_ACCEPTED && action->send.accepted.request != 0) {
			for (uint32_t i = 0; i < world->store_count; i++)
				check(world->stores[i].act != ACT_ACCEPT ||
					!text_is(action->send.accepted.run,
						world->rules.runs[world->stores[i].run].name));
		}
		break;
	case ACTION_EXIT: world->is_over = true; break;
	case ACTION_WORKER_KILL:
	case ACTION_RUNNER_KILL:
	case ACTION_REPLY: break;
	}
}

static void step(struct world *world, struct rules_event event)
{
	uint32_t busy = 0;
	event.now = (struct mono){world->ns};
	event.wall = (struct wall){(int64_t)world->ns};
	world->actions.count = 0;
	rules_step(&world->rules, &event, &world->actions);
	for (uint32_t i = 0; i < world->actions.count; i++)
		note(world, &world->actions.list[i]);
	for (uint32_t i = 0; i < RUNS_KNOWN_MAX; i++) {
		busy += world->rules.runs[i].state == RUN_STARTING;
		check(world->rules.runs[i].worker_deaths <= POISON_DEATHS);
	}
	check(busy <= 1);
}

static struct record record_of(struct input *input)
{
	struct record record = {.state = RECORD_WAITING + take(input) % 3,
		.told = take(input) % 3,
		.sequence = take(input),
		.origin = ORIGIN_DASHBOARD,
		.pid = 100,
		.start_ticks = 5,
		.started_mono_ms = take(input),
		.deadline_ms = take(input) * 1000u,
		.outcome = OUTCOME_EXITED,
		.code = take(input) % 2};
	static const char *const names[] = {"pull", "restart", "switch", "reboot"};
	text_copy(text_of(names[take(input) % 4]), record.command, sizeof(record.command));
	return record;
}

static void stored(struct world *world, struct input *input)
{
	if (world->store_count == 0)
		return;
	uint32_t index = take(input) % world->store_count;
	struct pending done = world->stores[index];
	world->stores[index] = world->stores[--world->store_count];
	struct record record = record_of(input);
	struct rules_event event = {.type = EVENT_STORED,
		.stored = {.act = done.act,
			.run = done.run,
			.error = take(input) % 4 == 0 ? EIO : 0,
			.record = &record,
			.is_live = take(input) % 4 == 0,
			.is_more = take(input) % 8 == 0,
			.is_unsettled = take(input) % 8 == 0,
			.sequence = take(input)}};
	step(world, event);
}

static void found(struct world *world, struct input *input)
{
	char name[] = "found-0";
	if (!world->rules.is_scanning)
		return;
	struct record record = record_of(input);
	name[6] = (char)('a' + take(input) % 26);
	step(world, (struct rules_event){.type = EVENT_FOUND,
			    .found = {.name = text_of(name),
				    .record = &record,
				    .is_live = take(input) & 1,
				    .is_owed = take(input) & 1,
				    .is_this_boot = take(input) & 1}});
}

static void said(struct world *world, struct input *input)
{
	struct message message = {.type = MESSAGE_READY};
	if (!world->is_worker)
		return;
	switch (take(input) % 9) {
	case 0: message.ready.epoch = world->rules.worker.epoch; break;
	case 1:
		message = (struct message){.type = MESSAGE_PONG,
			.pong = {.link = take(input) % 5,
				.contact_ms = take(input) * 10000u,
				.detail = TEXT_NONE}};
		break;
	case 2:
	case 3:
		message = (struct message){
			.type = MESSAGE_RUN, .run = {take(input), take_name(world, input)}};
		break;
	case 4:
		message = (struct message){
			.type = MESSAGE_DELIVERED, .delivered = {take_name(world, input)}};
		break;
	case 5:
		message = (struct message){.type = MESSAGE_UNDELIVERABLE,
			.undeliverable = {take_name(world, input), TEXT_NONE}};
		break;
	case 6:
		message = (struct message){.type = MESSAGE_CANCEL,
			.cancel = {take_name(world, input), take(input) & 1}};
		break;
	case 7: message = (struct message){.type = MESSAGE_TOKEN, .token = {text_of("t")}}; break;
	case 8: message = (struct message){.type = MESSAGE_LEAVE, .leave = {TEXT_NONE}}; break;
	default: break;
	}
	step(world, (struct rules_event){.type = EVENT_WORKER_SAID,
			    .worker_said = {world->rules.worker.epoch, &message}});
}

static void runner(struct world *world, struct input *input)
{
	uint32_t run = take(input) % RUNS_KNOWN_MAX;
	for (uint32_t i = 0; i < RUNS_KNOWN_MAX && world->runners[run] == 0; i++)
		run = (run + 1) % RUNS_KNOWN_MAX;
	if (world->runners[run] == 0)
		return;
	struct rules_event event = {.type = EVENT_RUNNER_REPORTED_START,
		.runner_started = {run, 100, take(input) * 1000u}};
	switch (take(input) % 4) {
	case 0: break;
	case 1: event.type = EVENT_RUNNER_STARTED; break;
	case 2:
		event = (struct rules_event){.type = EVENT_RUNNER_REPORTED_RESULT,
			.result = {.run = run,
				.outcome = OUTCOME_EXITED,
				.reason = TEXT_NONE,
				.summary = TEXT_NONE,
				.is_kept = take(input) & 1}};
		break;
	default:
		world->runners[run]--;
		event = (struct rules_event){.type = EVENT_RUNNER_EXITED,
			.runner_exited = {run, text_of(take(input) & 1 ? "fork" : "")}};
		break;
	}
	step(world, event);
}

static void worker_ends(struct world *world)
{
	if (!world->is_worker)
		return;
	world->is_worker = false;
	step(world, (struct rules_event){.type = EVENT_WORKER_EXITED,
			    .worker_exited = {world->rules.worker.epoch, TEXT_NONE}});
}

static void probed(struct world *world, struct input *input)
{
	if (!world->is_probing)
		return;
	world->is_probing = false;
	step(world,
		(struct rules_event){.type = EVENT_PROBED, .probed = {take(input) & 1, TEXT_NONE}});
}

static void time_passes(struct world *world, struct input *input)
{
	struct mono due = rules_due(&world->rules);
	uint8_t how = take(input);
	world->ns += how * (how & 1 ? NS_PER_MS : NS_PER_S);
	if (due.ns != MONO_NEVER.ns && (how & 2) && due.ns > world->ns)
		world->ns = due.ns;
	if (due.ns > world->ns)
		return;
	/* What there was no room for in one step stays due; not for ever. */
	for (int i = 0; i < 16 && rules_due(&world->rules).ns <= world->ns; i++)
		step(world, (struct rules_event){.type = EVENT_DUE});
	check(world->is_over || rules_due(&world->rules).ns > world->ns);
}

static void people(struct world *world, struct input *input)
{
	struct rules_event event = {.type = EVENT_NETWORK};
	switch (take(input) % 8) {
	case 0: event.type = EVENT_AWAY; break;
	case 1:
		event = (struct rules_event){
			.type = EVENT_ASKED_RUN, .asked_run = {1, take_name(world, input)}};
		break;
	case 2:
		event = (struct rules_event){.type = EVENT_ASKED_CANCEL,
			.asked_cancel = {1, take_name(world, input), take(input) & 1}};
		break;
	case 3:
		event = (struct rules_event){.type = EVENT_RELOADED};
		event.reloaded.protocol = PROTOCOL_HTTP;
		event.reloaded.is_restart = take(input) & 1;
		event.reloaded.is_other_dashboard = event.reloaded.is_restart && (take(input) & 1);
		break;
	case 4:
		if (take(input) == 7)
			event.type = EVENT_STOP;
		break;
	case 5:
		if (world->is_acting) {
			world->is_acting = false;
			event = (struct rules_event){.type = EVENT_ACTED,
				.acted = {world->rules.leave.run, OUTCOME_EXITED, take(input) & 1,
					TEXT_NONE}};
		}
		break;
	case 6:
		event = (struct rules_event){.type = EVENT_ASKED_PAUSE,
			.asked_pause = {1, take(input) & 1,
				take(input) & 1 ? PAUSE_FOR_EVER : take(input) * 1000u,
				text_of("maintenance")}};
		break;
	default: break;
	}
	step(world, event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct input input = {data, size};
	memset(&world, 0, sizeof(world));
	world.ns = NS_PER_S;
	rules_init(&world.rules);
	step(&world, (struct rules_event){.type = EVENT_START,
			     .start = {.seed = take(&input),
				     .protocol = take(&input) % 3,
				     .token = TEXT_NONE,
				     .restart_code = 101,
				     .pause = {.is_on = take(&input) % 4 == 0,
					     .until_wall_ms = take(&input) * 1000,
					     .left_ms = take(&input) * 1000u,
					     .reason = TEXT_NONE}}});
	while (input.left > 0 && !world.is_over) {
		switch (take(&input) % 8) {
		case 0: time_passes(&world, &input); break;
		case 1:
		case 2: stored(&world, &input); break;
		case 3: found(&world, &input); break;
		case 4: said(&world, &input); break;
		case 5: runner(&world, &input); break;
		case 6: take(&input) & 1 ? worker_ends(&world) : probed(&world, &input); break;
		default: people(&world, &input); break;
		}
	}
	return 0;
}
