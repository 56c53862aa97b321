/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/rules_world.h"

#include <errno.h>
#include <stdio.h>

static struct world world;

/* The worker hands over a command; the run's place, as the store action names it. */
static uint32_t ask(const char *command, uint64_t request)
{
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = request, .command = text_of(command)}});
	const struct rules_action *action = world_stored(&world, ACT_ACCEPT);
	cr_assert(action != NULL);
	return action->run;
}

static void reports(enum rules_event_type type, uint32_t run, int64_t code, bool is_kept)
{
	struct rules_event event = world_event(&world, type);
	if (type == EVENT_RUNNER_REPORTED_RESULT) {
		event.result.run = run;
		event.result.outcome = OUTCOME_EXITED;
		event.result.code = code;
		event.result.reason = event.result.summary = TEXT_NONE;
		event.result.is_kept = is_kept;
	} else {
		event.runner_started.run = run;
	}
	world_step(&world, event);
}

static void runner_exits(uint32_t run)
{
	struct rules_event event = world_event(&world, EVENT_RUNNER_EXITED);
	event.runner_exited.run = run;
	event.runner_exited.why = TEXT_NONE;
	world_step(&world, event);
}

static void delivered(uint32_t run)
{
	world_says(&world, (struct message){.type = MESSAGE_DELIVERED,
				   .delivered = {.run = text_of(world.rules.runs[run].name)}});
}

Test(rules_runs, a_command_is_safe_before_it_is_said_and_before_it_runs)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 5);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) == NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ACCEPTED)->accepted.request, 5));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	cr_assert(world_sent(&world, MESSAGE_STARTED)->started.owed);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 4, true);
	cr_assert(eq(i64, world_sent(&world, MESSAGE_ENDED)->ended.code, 4));
	delivered(run);
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	cr_assert(world_sent(&world, MESSAGE_MARKED) == NULL);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(world_sent(&world, MESSAGE_MARKED) != NULL);
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
}

Test(rules_runs, a_disk_that_refuses_is_tried_again_and_nothing_is_claimed_meanwhile)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 1);
	for (int i = 0; i < 5; i++) {
		world_done(&world, ACT_ACCEPT, run, ENOSPC);
		cr_assert(world_sent(&world, MESSAGE_ACCEPTED) == NULL);
		while (world_stored(&world, ACT_ACCEPT) == NULL) {
			if (world_sent(&world, MESSAGE_PING))
				world_says(&world, (struct message){.type = MESSAGE_PONG});
			world_pass(&world, 40000);
		}
	}
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
}

Test(rules_runs, s25_over_http_eight_wait_the_same_name_once_and_one_more_is_refused)
{
	world_up(&world, PROTOCOL_HTTP);
	rules_add_host_op(&world.rules, text_of("a"));
	rules_add_host_op(&world.rules, text_of("b"));
	rules_add_host_op(&world.rules, text_of("c"));
	rules_add_host_op(&world.rules, text_of("d"));
	static const char *const names[] = {
		"switch", "pull", "test", "update", "pull-switch", "a", "b", "c", "d"};
	for (uint64_t i = 0; i < 9; i++) {
		uint32_t run = ask(names[i], i);
		world_done(&world, ACT_ACCEPT, run, 0);
		cr_assert(eq(int, world_sent(&world, MESSAGE_ACCEPTED)->accepted.queued, i > 0));
	}
	cr_assert(eq(u32, rules_count_queued(&world.rules), 8));
	uint32_t twice = ask("pull", 20);
	world_done(&world, ACT_ACCEPT, twice, 0);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(eq(int, (int)ended->ended.outcome, OUTCOME_REFUSED));
	cr_assert(text_is(ended->ended.reason, "pull is already waiting in the queue"));
	uint32_t ninth = ask("restart", 21);
	world_done(&world, ACT_ACCEPT, ninth, 0);
	cr_assert(eq(int, (int)world.rules.runs[ninth].outcome, OUTCOME_REFUSED));
	cr_assert(eq(u32, rules_count_queued(&world.rules), 8));
}

Test(rules_runs, an_unknown_command_is_refused_durably_and_owed)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("dance", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(text_is(ended->ended.reason, "Unknown command: dance"));
	cr_assert(eq(u32, rules_count_owed(&world.rules), 1));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
}

Test(rules_runs, a_runner_that_dies_is_settled_from_its_record_and_never_made_up)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	runner_exits(run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	cr_assert(world_sent(&world, MESSAGE_ENDED) == NULL);
	struct record record = {.state = RECORD_FINISHED,
		.outcome = OUTCOME_LOST,
		.sequence = 1,
		.origin = ORIGIN_DASHBOARD,
		.command = "switch",
		.reason = "its runner died"};
	struct rules_event event = world_event(&world, EVENT_STORED);
	event.stored.act = ACT_SETTLE;
	event.stored.run = run;
	event.stored.record = &record;
	world_step(&world, event);
	cr_assert(eq(int, (int)world_sent(&world, MESSAGE_ENDED)->ended.outcome, OUTCOME_LOST));
}

Test(rules_runs, a_result_that_the_disk_did_not_take_is_kept_before_it_is_told)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, false);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	runner_exits(run);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ENDED) != NULL);
}

Test(rules_runs, what_is_owed_is_told_to_each_new_worker_eight_at_a_time_in_order)
{
	world_start(&world, PROTOCOL_HTTP);
	for (int i = 20; i > 0; i--) {
		char name[32];
		struct record record = {.state = RECORD_FINISHED,
			.outcome = OUTCOME_EXITED,
			.sequence = (uint64_t)i,
			.origin = ORIGIN_DASHBOARD,
			.command = "pull"};
		struct rules_event event = world_event(&world, EVENT_FOUND);
		snprintf(name, sizeof(name), "run-%02d", i);
		event.found.name = text_of(name);
		event.found.record = &record;
		event.found.is_owed = true;
		world_step(&world, event);
	}
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	for (int worker = 0; worker < 2; worker++) {
		uint32_t told = 0;
		world_ready(&world);
		for (uint32_t i = 0; i < world.actions.count; i++) {
			const struct rules_action *action = &world.actions.list[i];
			char name[32];
			if (action->type != ACTION_SEND || action->send.type != MESSAGE_ENDED)
				continue;
			snprintf(name, sizeof(name), "run-%02u", ++told);
			cr_assert(text_is(action->send.ended.run, name));
		}
		cr_assert(eq(u32, told, RUNS_OWED_TOLD_MAX));
		world_worker_exits(&world);
		do
			world_pass(&world, 5000);
		while (world_count(&world, ACTION_WORKER_START) == 0);
	}
}

Test(rules_runs, a_cancel_that_comes_too_early_is_said_when_the_runner_listens)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	struct rules_event cancel = world_event(&world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.client = 3;
	cancel.asked_cancel.run = TEXT_NONE;
	world_step(&world, cancel);
	cr_assert(world_stored(&world, ACT_CANCEL) == NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_REPLY), 1));
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 't'));
}

Test(rules_runs, restart_leaves_when_it_is_delivered_or_after_ten_seconds)
{
	for (int told = 0; told < 2; told++) {
		world_up(&world, PROTOCOL_HTTP);
		uint32_t run = ask("restart", 1);
		world_done(&world, ACT_ACCEPT, run, 0);
		reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
		reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
		cr_assert(world_sent(&world, MESSAGE_STOP) == NULL);
		uint64_t start = world.ms;
		if (told) {
			delivered(run);
			world_done(&world, ACT_MARK, run, 0);
		}
		while (!world.rules.is_stopping) {
			world_pass(&world, 1000);
			if (world_sent(&world, MESSAGE_PING))
				world_says(&world, (struct message){.type = MESSAGE_PONG});
		}
		cr_assert(eq(u64, world.ms - start, told ? 0 : ANNOUNCE_DELIVER_MS));
	}
}
