/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The life of a run. */
#include "tests/unit/rules_world.h"

#include <errno.h>
#include <stdio.h>

static struct world world;

Test(rules_runs, a_command_is_safe_before_it_is_said_and_before_it_runs)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_ask(&world, "pull", 5);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) == NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ACCEPTED)->accepted.request, 5));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	world_runner_begins(&world, run);
	cr_assert(world_sent(&world, MESSAGE_STARTED)->started.owed);
	world_runner_ends(&world, run, 4, true);
	const struct message_ended *ended = &world_sent(&world, MESSAGE_ENDED)->ended;
	cr_assert(eq(i64, ended->code, 4));
	cr_assert(text_is(ended->reason, "why"));
	cr_assert(text_is(ended->summary, "7/8 pass"));
	world_delivered(&world, run);
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	cr_assert(world_sent(&world, MESSAGE_MARKED) == NULL);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(world_sent(&world, MESSAGE_MARKED) != NULL);
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
}

/* Old records are removed when a run ends, one child at a time and not more often than once in a
 * while. */
Test(rules_runs, old_records_are_removed_now_and_then)
{
	static const bool removes[] = {true, false, false, true};
	world_up(&world, PROTOCOL_HTTP);
	for (uint32_t i = 0; i < 4; i++) {
		if (i == 3)
			world.ms += 61000;
		uint32_t run = world_begin(&world, "pull", i + 1);
		world_runner_ends(&world, run, 0, true);
		cr_assert(eq(int, world_stored(&world, ACT_RETAIN) != NULL, removes[i]), "%u", i);
		if (i == 1)
			world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
		world_runner_exits(&world, run);
	}
}

static void sends(const char *run, uint64_t offset)
{
	world_says(&world, (struct message){.type = MESSAGE_SENT,
				   .sent = {.run = text_of(run), .offset = offset}});
}

/* Now and then, and never less than before. */
Test(rules_runs, how_much_output_was_sent_is_noted)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = world_ask(&world, "pull", 1);
	const char *name = world.rules.runs[run].name;
	world_done(&world, ACT_ACCEPT, run, 0);
	world_runner_begins(&world, run);
	sends("of no run", 50);
	cr_assert(world_stored(&world, ACT_SENT) == NULL);
	sends(name, 100);
	cr_assert(world_stored(&world, ACT_SENT) != NULL);
	world.ms += SENT_SAVE_MS;
	sends(name, 200); /* the disk has not answered */
	cr_assert(world_stored(&world, ACT_SENT) == NULL);
	world_done(&world, ACT_SENT, run, 0);
	sends(name, 150);
	cr_assert(world_stored(&world, ACT_SENT) == NULL);
	cr_assert(eq(u64, world.rules.runs[run].sent, 200));
	sends(name, 300);
	cr_assert(world_stored(&world, ACT_SENT) != NULL);
	world_done(&world, ACT_SENT, run, 0);
	sends(name, 400); /* a moment later */
	cr_assert(world_stored(&world, ACT_SENT) == NULL);
}

Test(rules_runs, a_disk_that_refuses_is_tried_again_and_nothing_is_claimed_meanwhile)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_ask(&world, "pull", 1);
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

Test(rules_runs, what_the_disk_refused_of_the_asking_does_not_slow_the_mark)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_ask(&world, "pull", 1);
	world_done(&world, ACT_ACCEPT, run, ENOSPC);
	while (!world_stored(&world, ACT_ACCEPT))
		world_pass(&world, 2000);
	world_done(&world, ACT_ACCEPT, run, ENOSPC);
	while (!world_stored(&world, ACT_ACCEPT))
		world_pass(&world, 4000);
	world_done(&world, ACT_ACCEPT, run, 0);
	world_runner_begins(&world, run);
	world_runner_ends(&world, run, 0, true);
	world_delivered(&world, run);
	world_done(&world, ACT_MARK, run, EIO);
	cr_assert(eq(u64, world.rules.runs[run].retry.ns, (world.ms + 1000) * NS_PER_MS));
}

/* A stop means what waits, also for the disk: the next worker must know of it. */
Test(rules_runs, a_new_worker_is_told_what_waits_the_oldest_first)
{
	uint32_t runs[3], told = 0;
	static const char *const names[] = {"pull", "test", "update"};
	world_up(&world, PROTOCOL_HTTP);
	for (uint32_t i = 0; i < 3; i++) {
		runs[i] = world_ask(&world, names[i], i + 1);
		if (i < 2)
			world_done(&world, ACT_ACCEPT, runs[i], 0);
	}
	/* The first one starts, the second waits for it, the third for the disk. */
	world_worker_exits(&world);
	while (world_count(&world, ACTION_WORKER_START) == 0)
		world_pass(&world, 1000);
	world_ready(&world);
	for (uint32_t i = 0; i < world.actions.count; i++) {
		const struct rules_action *action = &world.actions.list[i];
		if (action->type != ACTION_SEND || action->send.type != MESSAGE_ACCEPTED)
			continue;
		told++;
		cr_assert(le(u32, told, 2));
		cr_assert(text_is(action->send.accepted.run, world.rules.runs[runs[told]].name));
		cr_assert(eq(u64, action->send.accepted.request, 0));
	}
	cr_assert(eq(u32, told, 2));
}

Test(rules_runs, a_runner_that_dies_is_settled_from_its_record_and_never_made_up)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "switch", 1);
	world_runner_exits(&world, run);
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
	uint32_t run = world_begin(&world, "switch", 1);
	world_runner_ends(&world, run, 0, false);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_runner_exits(&world, run);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ENDED) != NULL);
}

/* Somebody makes room by hand while the agent runs. */
Test(rules_runs, a_removed_record_holds_neither_the_queue_nor_the_window)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "switch", 1);
	world_runner_exits(&world, run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	world_done(&world, ACT_SETTLE, run, ENOENT);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ENDED)->ended.outcome, OUTCOME_LOST));
	world_delivered(&world, run);
	world_done(&world, ACT_MARK, run, ENOENT);
	cr_assert(world_sent(&world, MESSAGE_MARKED) != NULL);
	world_accept(&world, "pull", 2);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
}

Test(rules_runs, a_runner_that_dies_before_it_starts_anything_is_tried_three_times)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_accept(&world, "pull", 1);
	for (int i = 1; i < RUNNER_STARTS_MAX; i++) {
		world_runner_exits(&world, run);
		world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, false);
		cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	}
	world_runner_exits(&world, run);
	world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	cr_assert(eq(int, (int)world.rules.runs[run].outcome, OUTCOME_REFUSED));
}

Test(rules_runs, a_result_that_the_record_had_already_is_the_one_that_is_told)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_accept(&world, "pull", 5);
	struct rules_event failed = world_event(&world, EVENT_RUNNER_EXITED);
	failed.runner_exited.run = run;
	failed.runner_exited.why = text_of("it could not be started: fork");
	world_step(&world, failed);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, run, EEXIST);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	cr_assert(world_sent(&world, MESSAGE_ENDED) == NULL);
	struct record record = {
		.state = RECORD_FINISHED, .outcome = OUTCOME_EXITED, .code = 4, .sequence = 1};
	snprintf(record.command, sizeof(record.command), "pull");
	struct rules_event settled = world_event(&world, EVENT_STORED);
	settled.stored.act = ACT_SETTLE;
	settled.stored.run = run;
	settled.stored.record = &record;
	world_step(&world, settled);
	cr_assert(eq(i64, world_sent(&world, MESSAGE_ENDED)->ended.code, 4));
}

Test(rules_runs, after_a_good_switch_over_a_websocket_the_agent_leaves_whoever_told_it)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = world_begin(&world, "switch", 5);
	world_runner_ends(&world, run, 0, true);
	world_delivered(&world, run);
	world_worker_exits(&world);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(eq(int, world.rules.leave.state, LEAVE_DELIVERING));
}

Test(rules_runs, nothing_starts_while_what_an_ended_one_left_is_there)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t first = world_begin(&world, "switch", 5);
	world_accept(&world, "pull", 6);
	world_runner_ends(&world, first, 0, true);
	cr_assert(world_sent(&world, MESSAGE_ENDED) != NULL);
	cr_assert(eq(u32, rules_leftover_run(&world.rules), first));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	world_runner_exits(&world, first);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	cr_assert(eq(u32, rules_leftover_run(&world.rules), RULES_NO_RUN));
}

Test(rules_runs, a_new_worker_is_told_what_waits)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	world.rules.is_cloning = true;
	uint32_t run = world_accept(&world, "pull", 5);
	world_worker_exits(&world);
	while (world_count(&world, ACTION_WORKER_START) == 0)
		world_pass(&world, 60000);
	world_ready(&world);
	const struct message *accepted = world_sent(&world, MESSAGE_ACCEPTED);
	cr_assert(accepted && accepted->accepted.queued);
	cr_assert(text_is(accepted->accepted.run, world.rules.runs[run].name));
}

/* Cancelled before it began, and the disk took that only after a later command had ended. */
Test(rules_runs, an_end_that_comes_after_a_later_commands_is_told_as_an_old_one)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t first = world_ask(&world, "switch", 1);
	world_says(&world, (struct message){.type = MESSAGE_CANCEL, .cancel = {TEXT_NONE, false}});
	world_done(&world, ACT_ACCEPT, first, 0);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, first, EIO);
	uint32_t second = world_begin(&world, "pull", 2);
	world_runner_ends(&world, second, 0, true);
	cr_assert(not(world_sent(&world, MESSAGE_ENDED)->ended.again));
	world_done(&world, ACT_KEEP, first, 0);
	cr_assert(world_sent(&world, MESSAGE_ENDED)->ended.again);
}

/* It ran, and the disk took its result only after a later command had ended. */
Test(rules_runs, what_a_late_end_says_of_the_host_comes_before_what_later_commands_say)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t first = world_begin(&world, "pull", 1);
	world_runner_ends(&world, first, 0, false);
	struct rules_event event = world_event(&world, EVENT_RUNNER_EXITED);
	event.runner_exited.run = first;
	event.runner_exited.why = TEXT_NONE;
	world_step(&world, event);
	world_done(&world, ACT_KEEP, first, EIO);
	uint32_t second = world_begin(&world, "switch", 2);
	world_runner_ends(&world, second, 0, true);
	cr_assert(world_sent(&world, MESSAGE_HISTORY) == NULL);
	world_done(&world, ACT_KEEP, first, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_SEND), 3));
	const struct message *messages[3];
	for (uint32_t i = 0, count = 0; i < world.actions.count; i++) {
		if (world.actions.list[i].type == ACTION_SEND)
			messages[count++] = &world.actions.list[i].send;
	}
	cr_assert(text_is(messages[0]->history.command, "pull"));
	cr_assert(text_is(messages[1]->history.command, "switch"));
	cr_assert(eq(int, (int)messages[2]->type, MESSAGE_ENDED));
	cr_assert(messages[2]->ended.again);
}
