/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the records say that were there before. */
#include "supervisor/rules_parts.h"
#include "tests/unit/rules_world.h"

#include <errno.h>
#include <stdio.h>

static struct world world;

Test(rules_record, an_adopted_runner_is_watched_and_its_clock_is_the_records)
{
	world_start(&world, PROTOCOL_NONE);
	world.ms = 70000;
	world_find(&world, 1, RECORD_RUNNING, true, 10000);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(eq(u64, world.rules.runs[run].started.ns, 10000 * NS_PER_MS));
	cr_assert(eq(u64, world.rules.runs[run].deadline_ms, 120000));
	/* Nothing is asked of the disk until its process ends. */
	world_pass(&world, 50000);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
	world_runner_exits(&world, run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	world_settles(&world, run, ACT_SETTLE, RECORD_FINISHED, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
}

/* Whoever holds the record may be a runner right before it writes that it starts. */
Test(rules_record, a_record_that_waits_and_is_held_is_looked_at_until_it_is_free)
{
	world_start(&world, PROTOCOL_NONE);
	world.rules.pause.is_on = true;
	world.rules.pause.until = MONO_NEVER;
	world_find(&world, 1, RECORD_WAITING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(ne(u32, run, RULES_NO_RUN));
	world_pass(&world, 2000);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	/* It began: its process is watched now. */
	world_settles(&world, run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	cr_assert(eq(u64, world.rules.runs[run].start_ticks, 99));
	world_runner_exits(&world, run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
	cr_assert(eq(u32, rules_count_queued(&world.rules), 1));
}

Test(rules_record, a_runner_of_our_own_is_killed_also_after_one_of_another_agents)
{
	world_start(&world, PROTOCOL_NONE);
	world_find(&world, 1, RECORD_WAITING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	world_pass(&world, 2000);
	world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	struct rules_event event = world_event(&world, EVENT_RUNNER_STARTED);
	event.runner_started.run = run;
	event.runner_started.pid = 4712;
	event.runner_started.deadline_ms = 120000;
	world_step(&world, event);
	world_runner_begins(&world, run);
	while (world_count(&world, ACTION_RUNNER_KILL) == 0) {
		cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
		world_pass(&world, 10000);
		cr_assert(lt(u64, world.ms, 300000));
	}
}

/* Nobody listens yet: the cancel is said once its runner is known, or done where none begins. */
Test(rules_record, what_is_about_to_begin_is_cancelled_when_it_is_known)
{
	for (int begins = 0; begins < 2; begins++) {
		world_start(&world, PROTOCOL_NONE);
		world_find(&world, 1, RECORD_WAITING, true, 0);
		world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
		uint32_t run = rules_busy_run(&world.rules);
		world_cancel(&world, false);
		cr_assert(world_stored(&world, ACT_CANCEL) == NULL);
		cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
		world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, true);
		world_pass(&world, 5000);
		cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
		world_settles(
			&world, run, ACT_SETTLE, begins ? RECORD_RUNNING : RECORD_WAITING, begins);
		cr_assert(world_stored(&world, begins ? ACT_CANCEL : ACT_KEEP) != NULL);
	}
}

Test(rules_record, a_clock_of_the_record_that_lies_ahead_begins_now)
{
	world_start(&world, PROTOCOL_NONE);
	world_find(&world, 1, RECORD_RUNNING, true, UINT64_MAX);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(eq(u64, world.rules.runs[run].started.ns, world.rules.now.ns));
}

Test(rules_record, a_hung_adopted_runner_is_ended_by_a_store_child_after_every_limit)
{
	uint64_t limit = 120000 + COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS;
	world_start(&world, PROTOCOL_NONE);
	world.ms = 70000;
	world_find(&world, 1, RECORD_RUNNING, true, 10000);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	while (world_stored(&world, ACT_END) == NULL) {
		cr_assert(le(u64, world.ms, 10000 + limit));
		world_pass(&world, 10000);
	}
	cr_assert(eq(u64, world.ms, 10000 + limit));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_KILL), 0));
	/* It could not be ended: asked again, in pauses, while the place stays taken. */
	world_settles(&world, run, ACT_END, RECORD_RUNNING, true);
	cr_assert(eq(u32, rules_busy_run(&world.rules), run));
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 0));
	world_pass(&world, 60000);
	cr_assert(world_stored(&world, ACT_END) != NULL);
	world_settles(&world, run, ACT_END, RECORD_FINISHED, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
}

Test(rules_record, an_adopted_switch_may_wait_for_an_activation_as_well)
{
	struct record record = {.state = RECORD_RUNNING,
		.sequence = 1,
		.command = "switch",
		.pid = 4711,
		.deadline_ms = 120000};
	uint64_t limit = record.deadline_ms + COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS +
			 ACTIVATION_WAIT_MS;
	world_start(&world, PROTOCOL_NONE);
	struct rules_event event = world_event(&world, EVENT_FOUND);
	event.found.name = text_of("run-01");
	event.found.record = &record;
	event.found.is_live = true;
	world_step(&world, event);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	while (world_stored(&world, ACT_END) == NULL) {
		cr_assert(le(u64, world.ms, limit));
		world_pass(&world, 60000);
	}
	cr_assert(eq(u64, world.ms, limit));
}

Test(rules_record, a_record_that_stays_held_without_its_process_is_asked_again_in_pauses)
{
	world_start(&world, PROTOCOL_NONE);
	world_find(&world, 1, RECORD_RUNNING, true, 1000);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	world_runner_exits(&world, run);
	world_settles(&world, run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 0));
	uint64_t start = world.ms;
	world_pass(&world, 10000);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	cr_assert(ge(u64, world.ms - start, 1000));
}

Test(rules_record, s13_after_an_absence_of_our_own_no_runner_is_overdue_at_once)
{
	world_up(&world, PROTOCOL_NONE);
	world_start(&world, PROTOCOL_NONE);
	world_find(&world, 1, RECORD_RUNNING, true, 1000);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world.ms += 3600000;
	world_step(&world, world_event(&world, EVENT_AWAY));
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(world_stored(&world, ACT_END) == NULL);
	uint64_t start = world.ms;
	while (world_stored(&world, ACT_END) == NULL)
		world_pass(&world, 1000);
	cr_assert(eq(u64, world.ms - start, COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS));
}

/* A runner of the agent before had waited for its turn, and began the command that was thought to
 * wait. */
Test(rules_record, a_cancel_of_what_another_runner_began_reaches_it)
{
	world_start(&world, PROTOCOL_HTTP);
	world.rules.pause.is_on = true;
	world_find(&world, 1, RECORD_WAITING, false, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	struct rules_event cancel = world_event(&world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.run = TEXT_NONE;
	cancel.asked_cancel.client = 1;
	world_step(&world, cancel);
	uint32_t run = world_stored(&world, ACT_KEEP)->run;
	world_done(&world, ACT_KEEP, run, EEXIST);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	world_settles(&world, run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	cr_assert(world_stored(&world, ACT_CANCEL) != NULL);
}

Test(rules_record, what_another_runner_began_is_named_to_the_worker)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = world_accept(&world, "pull", 5);
	world_runner_exits(&world, run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	/* That one waits for its turn. */
	world_settles(&world, run, ACT_SETTLE, RECORD_WAITING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
	runs_worker_ready(&world.rules, &world.actions);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
	world_settles(&world, run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) != NULL);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_STARTED)->started.pid, 4711));
	/* It goes on: another look is no news. */
	world_settles(&world, run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
}

Test(rules_record, what_one_left_is_waited_for_by_the_next_agent_too)
{
	world_start(&world, PROTOCOL_HTTP);
	struct record record = {.state = RECORD_FINISHED,
		.outcome = OUTCOME_CANCELLED,
		.origin = ORIGIN_LOCAL,
		.sequence = 1,
		.pid = 1234,
		.start_ticks = 99};
	snprintf(record.command, sizeof(record.command), "switch");
	struct rules_event found = world_event(&world, EVENT_FOUND);
	found.found.name = text_of("run-01");
	found.found.record = &record;
	world_step(&world, found);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	const struct rules_run *run = &world.rules.runs[world.actions.list[0].run];
	/* The number may be another's: its age tells. */
	cr_assert(eq(u64, run->start_ticks, 99));
	cr_assert(eq(int, (int)run->origin, ORIGIN_LOCAL));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_probed(&world, true);
	world_ready(&world);
	world_accept(&world, "pull", 6);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	world_runner_exits(&world, rules_leftover_run(&world.rules));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
}

/* One is just being made for the agent before: its number, the next one, is in no record yet. */
Test(rules_record, a_number_that_may_be_taken_is_not_given_again)
{
	for (int is_unsettled = 0; is_unsettled < 2; is_unsettled++) {
		world_start(&world, PROTOCOL_NONE);
		struct rules_event event = world_event(&world, EVENT_STORED);
		event.stored.act = ACT_SCAN;
		event.stored.run = RULES_NO_RUN;
		event.stored.sequence = 21;
		event.stored.is_unsettled = is_unsettled;
		world_step(&world, event);
		world_client_asks(&world, "pull");
		const struct rules_action *action = world_stored(&world, ACT_ACCEPT);
		cr_assert(action != NULL);
		cr_assert(eq(u64, world.rules.runs[action->run].sequence,
			is_unsettled ? 22 + STORE_CHILDREN_MAX : 22));
	}
}

/* An agent before was still accepting it when the records were read. */
Test(rules_record, what_a_later_look_finds_and_then_runs_is_told_as_a_new_end)
{
	struct record record = {.state = RECORD_WAITING,
		.sequence = 30,
		.origin = ORIGIN_DASHBOARD,
		.command = "pull"};
	world_up(&world, PROTOCOL_WEBSOCKET);
	struct rules_event found = world_event(&world, EVENT_FOUND);
	found.found.name = text_of("run-30");
	found.found.record = &record;
	found.found.is_owed = true;
	world_step(&world, found);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	world_runner_begins(&world, run);
	world_runner_ends(&world, run, 0, true);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(not(ended->ended.again));
}

Test(rules_record, more_held_records_than_actions_are_survived)
{
	static const char *const commands[] = {"pull", "switch", "test", "update", "rollback"};
	world_start(&world, PROTOCOL_WEBSOCKET);
	world_probed(&world, true);
	world_ready(&world);
	for (uint32_t i = 0; i < RUNS_KNOWN_MAX; i++)
		world_find(&world, i + 1, RECORD_RUNNING, true, 0);
	for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct record record = {
			.state = RECORD_FINISHED, .outcome = OUTCOME_EXITED, .sequence = 1000 + i};
		struct rules_event event = world_event(&world, EVENT_FOUND);
		text_copy(text_of(commands[i]), record.command, sizeof(record.command));
		event.found.name = text_of(commands[i]);
		event.found.record = &record;
		world_step(&world, event);
	}
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(world.rules.is_scanned);
	cr_assert(le(u32, world.actions.count, RULES_ACTIONS_MAX));
}
