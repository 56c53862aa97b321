/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/rules_world.h"

#include <stdio.h>

static struct world world;

static void find(uint32_t number)
{
	char name[32];
	struct record record = {.state = RECORD_FINISHED,
		.outcome = OUTCOME_EXITED,
		.sequence = number,
		.origin = ORIGIN_DASHBOARD,
		.command = "pull"};
	struct rules_event event = world_event(&world, EVENT_FOUND);
	snprintf(name, sizeof(name), "run-%02u", number);
	event.found.name = text_of(name);
	event.found.record = &record;
	event.found.is_owed = true;
	world_step(&world, event);
}

static void find_owed(uint32_t count)
{
	world_start(&world, PROTOCOL_HTTP);
	for (uint32_t i = count; i > 0; i--)
		find(i);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
}

/* The n-th outcome that the last step told, from 0; NULL after the last. */
static const struct message_ended *told(uint32_t n)
{
	for (uint32_t i = 0; i < world.actions.count; i++) {
		const struct rules_action *action = &world.actions.list[i];
		if (action->type != ACTION_SEND || action->send.type != MESSAGE_ENDED)
			continue;
		if (n-- == 0)
			return &action->send.ended;
	}
	return NULL;
}

static void expect_told(uint32_t n, const char *name, bool is_withheld)
{
	const struct message_ended *ended = told(n);
	cr_assert(ended != NULL, "%s", name);
	cr_assert(text_is(ended->run, name), "%s, not %.*s", name, TEXT_ARGS(ended->run));
	cr_assert(eq(int, ended->withheld, is_withheld));
}

/* The dashboard has it, and the disk says so. */
static void deliver(const char *name)
{
	world_says(&world,
		(struct message){.type = MESSAGE_DELIVERED, .delivered = {.run = text_of(name)}});
	const struct rules_action *mark = world_stored(&world, ACT_MARK);
	cr_assert(mark != NULL, "%s", name);
	world_done(&world, ACT_MARK, mark->run, 0);
}

static void next_worker(void)
{
	while (world_count(&world, ACTION_WORKER_START) == 0)
		world_pass(&world, 5000);
	world_ready(&world);
}

static void worker_dies(void)
{
	world_worker_exits(&world);
	world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
	next_worker();
}

Test(rules_owed, is_told_to_each_new_worker_eight_at_a_time_in_order)
{
	find_owed(20);
	world_ready(&world);
	for (int worker = 0; worker < 2; worker++) {
		for (uint32_t i = 0; i < RUNS_OWED_TOLD_MAX; i++) {
			char name[32];
			snprintf(name, sizeof(name), "run-%02u", i + 1);
			expect_told(i, name, false);
			cr_assert(told(i)->again); /* the history came before it */
		}
		cr_assert(told(RUNS_OWED_TOLD_MAX) == NULL);
		struct rules_event event = world_event(&world, EVENT_RELOADED);
		event.reloaded.is_restart = true;
		event.reloaded.protocol = PROTOCOL_HTTP;
		world_step(&world, event);
		world_worker_exits(&world); /* as it was told to */
		world_ready(&world);
	}
}

Test(rules_owed, one_over_which_two_workers_died_is_told_last_and_without_its_output)
{
	find_owed(10);
	world_ready(&world);
	worker_dies(); /* of run-02, as we know: eight are suspects */
	expect_told(0, "run-01", false);
	cr_assert(told(1) == NULL);
	deliver("run-01");
	expect_told(0, "run-02", false);
	cr_assert(told(1) == NULL);
	worker_dies();
	cr_assert(eq(u32, rules_count_poison(&world.rules), 1));
	for (int i = 3; i <= 8; i++) {
		char name[32];
		snprintf(name, sizeof(name), "run-%02d", i);
		expect_told(0, name, false);
		cr_assert(told(1) == NULL);
		deliver(name);
	}
	/* Those that were never told are no suspects, but the poison still waits. */
	expect_told(0, "run-09", false);
	deliver("run-09");
	expect_told(0, "run-10", false);
	deliver("run-10");
	expect_told(0, "run-02", true);
	deliver("run-02");
	cr_assert(eq(u32, rules_count_poison(&world.rules), 0));
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
}

Test(rules_owed, nobody_is_blamed_for_a_worker_that_was_told_to_end_or_had_no_contact)
{
	find_owed(1);
	world_probed(&world, true);
	world_ready(&world);
	for (int i = 0; i < 4; i++) {
		struct rules_event event = world_event(&world, EVENT_RELOADED);
		event.reloaded.is_restart = true;
		event.reloaded.protocol = PROTOCOL_HTTP;
		world_step(&world, event);
		world_worker_exits(&world);
		world_ready(&world);
		expect_told(0, "run-01", false);
	}
	uint64_t end = world.ms + 2 * WORKER_SILENT_LINK_MS;
	while (world_count(&world, ACTION_WORKER_KILL) == 0) {
		cr_assert(lt(u64, world.ms, end));
		world_pass(&world, 5000);
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world,
				(struct message){.type = MESSAGE_PONG,
					.pong = {.link = LINK_WAITING, .contact_ms = UINT64_MAX}});
		if (world_count(&world, ACTION_PROBE))
			world_probed(&world, true);
	}
	worker_dies();
	cr_assert(eq(u32, world.rules.runs[0].worker_deaths, 0));
}

Test(rules_owed, what_a_worker_that_is_being_killed_said_last_still_counts)
{
	find_owed(1);
	world_ready(&world);
	while (world_count(&world, ACTION_WORKER_KILL) == 0)
		world_pass(&world, 5000);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 3, .command = text_of("pull")}});
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
	deliver("run-01");
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
}

Test(rules_owed, what_is_being_marked_still_fills_the_window)
{
	uint32_t first = RULES_NO_RUN;
	find_owed(20);
	world_ready(&world);
	for (int i = 1; i <= RUNS_OWED_TOLD_MAX; i++) {
		char name[32];
		snprintf(name, sizeof(name), "run-%02d", i);
		world_says(&world, (struct message){.type = MESSAGE_DELIVERED,
					   .delivered = {.run = text_of(name)}});
		cr_assert(told(0) == NULL);
		first = i == 1 ? world_stored(&world, ACT_MARK)->run : first;
	}
	world_done(&world, ACT_MARK, first, 0);
	expect_told(0, "run-09", false);
	cr_assert(told(1) == NULL);
}

/* A dashboard that takes no outcome and goes on handing out commands. */
Test(rules_owed, a_full_memory_of_outcomes_does_not_lose_a_command)
{
	find_owed(RUNS_KNOWN_MAX);
	world_ready(&world);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 1, .command = text_of("test")}});
	const struct rules_action *accept = world_stored(&world, ACT_ACCEPT);
	cr_assert(accept != NULL);
	cr_assert(eq(str, world.rules.runs[accept->run].command, "test"));
	/* What gave up its place is read again once the others are told. */
	for (uint32_t i = 0; i + RUNS_OWED_TOLD_MAX < RUNS_KNOWN_MAX; i++) {
		char name[32];
		cr_assert(world_stored(&world, ACT_SCAN) == NULL);
		snprintf(name, sizeof(name), "run-%02u", i + 1);
		deliver(name);
	}
	world_pass(&world, 1);
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
}

/* The look has passed it by when it gives up its place: only another look finds it again. */
Test(rules_owed, what_gives_up_its_place_during_a_look_is_looked_for_again)
{
	find_owed(RUNS_KNOWN_MAX);
	world_ready(&world);
	world.rules.scan_retry = world.rules.now;
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 1, .command = text_of("test")}});
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
	cr_assert(eq(u32, rules_count_owed(&world.rules), RUNS_KNOWN_MAX - 1));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(world.rules.is_more_owed);
}

/* Or else it would wait for the start of one that never starts, and a stop would wait with it. */
Test(rules_owed, a_refused_command_is_accepted_without_a_run_while_the_window_is_full)
{
	find_owed(RUNS_OWED_TOLD_MAX);
	world_ready(&world);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 1, .command = text_of("dance")}});
	world_done(&world, ACT_ACCEPT, world_stored(&world, ACT_ACCEPT)->run, 0);
	const struct message *accepted = world_sent(&world, MESSAGE_ACCEPTED);
	cr_assert(accepted != NULL);
	cr_assert(eq(u64, accepted->accepted.request, 1));
	cr_assert(eq(u32, accepted->accepted.run.size, 0));
	cr_assert(told(0) == NULL);
}

/* The configuration names another dashboard; the worker that talks to the one before ends. */
static void another_dashboard(void)
{
	struct rules_event event = world_event(&world, EVENT_RELOADED);
	event.reloaded.is_restart = event.reloaded.is_other_dashboard = true;
	event.reloaded.protocol = PROTOCOL_HTTP;
	world_step(&world, event);
	cr_assert(world_sent(&world, MESSAGE_STOP) != NULL);
}

Test(rules_owed, another_dashboard_is_not_told_what_it_did_not_ask_for)
{
	find_owed(10);
	world_probed(&world, true);
	world_ready(&world);
	cr_assert(told(RUNS_OWED_TOLD_MAX - 1) != NULL);
	another_dashboard();
	/* What the one before takes until its worker is gone is marked. */
	deliver("run-01");
	world_worker_exits(&world);
	world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
	world_ready(&world);
	cr_assert(told(0) == NULL);
}

Test(rules_owed, what_the_new_dashboard_is_owed_is_looked_for_and_told)
{
	find_owed(2);
	world_probed(&world, true);
	world_ready(&world);
	another_dashboard();
	world_worker_exits(&world);
	world_ready(&world);
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
	/* By now both are owed again: the configuration was changed back. */
	find(1);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	expect_told(0, "run-01", false);
	cr_assert(told(1) == NULL);
}

/* It ran through both changes, so its place was never given up. */
Test(rules_owed, a_dashboard_that_comes_back_is_told_of_what_ran_meanwhile)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 1, .command = text_of("pull")}});
	uint32_t run = world_stored(&world, ACT_ACCEPT)->run;
	world_done(&world, ACT_ACCEPT, run, 0);
	struct rules_event event = world_event(&world, EVENT_RUNNER_REPORTED_START);
	event.runner_started.run = run;
	world_step(&world, event);
	for (int i = 0; i < 2; i++) {
		another_dashboard();
		world_worker_exits(&world);
		world_ready(&world);
		world_pass(&world, 0);
		cr_assert(world_stored(&world, ACT_SCAN) != NULL);
		if (i == 1) {
			struct record record = {.state = RECORD_RUNNING,
				.sequence = 1,
				.origin = ORIGIN_DASHBOARD,
				.command = "pull"};
			struct rules_event found = world_event(&world, EVENT_FOUND);
			found.found.name = text_of(world.rules.runs[run].name);
			found.found.record = &record;
			found.found.is_owed = found.found.is_live = true;
			world_step(&world, found);
		}
		world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	}
	event = world_event(&world, EVENT_RUNNER_REPORTED_RESULT);
	event.result.run = run;
	event.result.outcome = OUTCOME_EXITED;
	event.result.is_kept = true;
	event.result.reason = event.result.summary = TEXT_NONE;
	world_step(&world, event);
	cr_assert(told(0) != NULL);
	cr_assert(told(0)->owed);
}

Test(rules_owed, a_look_for_the_dashboard_before_counts_for_nothing)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, true);
	world_ready(&world);
	another_dashboard();
	world_worker_exits(&world);
	world_ready(&world);
	find(1);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(told(0) == NULL);
	cr_assert(not(world.rules.is_scanned));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(world.rules.is_scanned);
}

Test(rules_owed, only_what_this_worker_was_told_can_be_delivered)
{
	find_owed(20);
	world_ready(&world);
	/* Beyond the window, of no run, and twice. */
	static const char *const names[] = {"run-09", "run-99", "run-01", "run-01"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		world_says(&world, (struct message){.type = MESSAGE_DELIVERED,
					   .delivered = {.run = text_of(names[i])}});
		cr_assert(eq(int, world_stored(&world, ACT_MARK) != NULL, i == 2), "%s", names[i]);
	}
}

Test(rules_owed, why_a_dashboard_never_takes_an_outcome_is_kept)
{
	find_owed(1);
	world_ready(&world);
	world_says(&world, (struct message){.type = MESSAGE_UNDELIVERABLE,
				   .undeliverable = {.run = text_of("run-01"),
					   .reason = text_of("HTTP 413: Payload Too Large")}});
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	uint32_t index = world_stored(&world, ACT_MARK)->run;
	const struct rules_run *run = &world.rules.runs[index];
	cr_assert(eq(str, (char *)run->undeliverable, "HTTP 413: Payload Too Large"));
	world_done(&world, ACT_MARK, index, 0);
	cr_assert(eq(int, (int)run->telling, TELLING_FAILED));
}

/* The child read the record before the mark was in it, and says so when another run has the place.
 */
Test(rules_owed, what_is_marked_while_the_records_are_read_is_not_told_again)
{
	char name[32];
	world_start(&world, PROTOCOL_HTTP);
	for (uint32_t i = RUNS_KNOWN_MAX; i > 0; i--)
		find(i);
	struct rules_event scanned = world_event(&world, EVENT_STORED);
	scanned.stored.act = ACT_SCAN;
	scanned.stored.run = RULES_NO_RUN;
	scanned.stored.is_more = true;
	world_step(&world, scanned);
	world_probed(&world, true);
	world_ready(&world);
	for (uint32_t i = 2; i <= RUNS_KNOWN_MAX; i++) {
		snprintf(name, sizeof(name), "run-%02u", i);
		deliver(name);
	}
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
	deliver("run-01");
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 1, .command = text_of("pull")}});
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
	find(1);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(told(0) == NULL);
	/* Later its place is free for others again. */
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
	for (uint32_t i = 2; i <= RUNS_KNOWN_MAX; i++)
		find(100 + i);
	cr_assert(eq(u32, rules_count_owed(&world.rules), RUNS_KNOWN_MAX - 1));
}

Test(rules_owed, what_found_no_place_is_looked_for_when_there_is_one)
{
	char name[32];
	find_owed(RUNS_KNOWN_MAX);
	world_probed(&world, true);
	world_ready(&world);
	cr_assert(not(world.rules.is_more_owed));
	find_owed(RUNS_KNOWN_MAX + 2);
	world_probed(&world, true);
	world_ready(&world);
	for (uint32_t i = 3; i <= RUNS_KNOWN_MAX + 2; i++) {
		snprintf(name, sizeof(name), "run-%02u", i);
		deliver(name);
	}
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(world_stored(&world, ACT_SCAN) != NULL);
	find(1);
	find(2);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	expect_told(0, "run-01", false);
	expect_told(1, "run-02", false);
	/* And not for ever. */
	deliver("run-01");
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(world_stored(&world, ACT_SCAN) == NULL);
}

Test(rules_owed, what_the_record_says_is_what_is_told)
{
	struct record record = {.state = RECORD_FINISHED,
		.outcome = OUTCOME_EXITED,
		.code = 4,
		.sequence = 1,
		.origin = ORIGIN_DASHBOARD,
		.command = "test",
		.reason = "why",
		.summary = "7/8 pass"};
	world_start(&world, PROTOCOL_HTTP);
	struct rules_event event = world_event(&world, EVENT_FOUND);
	event.found.name = text_of("run-01");
	event.found.record = &record;
	event.found.is_owed = true;
	world_step(&world, event);
	/* Nothing is owed where the dashboard never will have it. */
	record.told = RECORD_IS_UNDELIVERABLE;
	event.found.name = text_of("run-02");
	event.found.is_owed = false;
	world_step(&world, event);
	cr_assert(eq(str, (char *)rules_run_state_name(&world.rules.runs[1]), "undeliverable"));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_probed(&world, true);
	world_ready(&world);
	cr_assert(told(0) != NULL);
	cr_assert(text_is(told(0)->reason, "why"));
	cr_assert(text_is(told(0)->summary, "7/8 pass"));
	cr_assert(eq(i64, told(0)->code, 4));
	cr_assert(told(1) == NULL);
}
