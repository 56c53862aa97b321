/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/rules_world.h"

#include <errno.h>

static struct world world;

static uint32_t ask(const char *command)
{
	return world_accept(&world, command, 1);
}

/* Its runner does what it is asked to and ends. */
static void ends(uint32_t run, int64_t code)
{
	world_runner_begins(&world, run);
	world_runner_ends(&world, run, code, true);
	struct rules_actions kept = world.actions;
	world_runner_exits(&world, run);
	if (world.actions.count == 0)
		world.actions = kept; /* what the end made is looked at */
}

static void deliver(uint32_t run)
{
	world_delivered(&world, run);
	world_done(&world, ACT_MARK, run, 0);
}

/* The milliseconds until the agent stops; the worker answers meanwhile. */
static uint64_t until_stopping(void)
{
	uint64_t start = world.ms;
	while (!world.rules.is_stopping) {
		cr_assert(lt(u64, world.ms - start, 3600000));
		world_pass(&world, 1000);
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world, (struct message){.type = MESSAGE_PONG});
	}
	return world.ms - start;
}

static void wants_to_leave(void)
{
	world_says(&world, (struct message){.type = MESSAGE_LEAVE,
				   .leave = {.reason = text_of("a new binary")}});
}

Test(rules_leave, restart_leaves_when_it_is_delivered_or_after_ten_seconds)
{
	for (int told = 0; told < 2; told++) {
		world_up(&world, PROTOCOL_HTTP);
		world.rules.restart_code = 101;
		uint32_t run = ask("restart");
		ends(run, 0);
		cr_assert(world_sent(&world, MESSAGE_STOP) == NULL);
		uint64_t start = world.ms;
		if (told)
			deliver(run);
		until_stopping();
		cr_assert(eq(u64, world.ms - start, told ? 0 : ANNOUNCE_DELIVER_MS));
		cr_assert(eq(int, world.rules.exit_code, 101));
	}
}

Test(rules_leave, a_restart_that_cannot_be_done_is_an_outcome_and_nothing_more)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("restart");
	ends(run, 1);
	deliver(run);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_NONE));
}

Test(rules_leave, the_workers_wish_waits_for_all_that_is_owed_and_starts_no_command_meanwhile)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t one = ask("switch");
	ends(one, 0);
	uint64_t start = world.ms;
	wants_to_leave();
	uint32_t next = ask("pull");
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(eq(int, (int)world.rules.runs[next].state, RUN_QUEUED));
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(not(world.rules.is_stopping));
	deliver(one);
	until_stopping();
	cr_assert(eq(u64, world.ms, start));
	cr_assert(eq(int, (int)world.rules.runs[next].state, RUN_QUEUED));
}

Test(rules_leave, the_workers_wish_is_granted_after_ten_seconds_without_delivery)
{
	world_up(&world, PROTOCOL_HTTP);
	ends(ask("switch"), 0);
	wants_to_leave();
	wants_to_leave(); /* said twice is no longer wait */
	cr_assert(eq(u64, until_stopping(), LEAVE_DELIVER_MS));
}

Test(rules_leave, an_action_that_fails_is_told_to_people_and_the_queue_goes_on)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("restart");
	ends(run, 0);
	world.rules.leave.state = LEAVE_ACTING; /* as for a command with an action */
	world.rules.leave.due = MONO_NEVER;
	uint32_t next = ask("pull");
	struct rules_event event = world_event(&world, EVENT_ACTED);
	event.acted.run = run;
	event.acted.outcome = OUTCOME_EXITED;
	event.acted.code = 1;
	event.acted.reason = text_of("sudo: a password is required");
	world_step(&world, event);
	cr_assert(eq(str, world.rules.leave.trouble, "restart: sudo: a password is required"));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	cr_assert(eq(int, (int)world.rules.runs[next].state, RUN_STARTING));
	cr_assert(world_sent(&world, MESSAGE_ENDED) == NULL);
}

Test(rules_leave, a_machine_that_does_not_go_down_is_noticed)
{
	world_up(&world, PROTOCOL_NONE);
	uint32_t run = 0;
	world_client_asks(&world, "restart");
	world_done(&world, ACT_ACCEPT, run, 0);
	ends(run, 0);
	world.rules.leave.state = LEAVE_ACTING;
	world.rules.leave.due = MONO_NEVER;
	struct rules_event event = world_event(&world, EVENT_ACTED);
	event.acted.run = run;
	event.acted.outcome = OUTCOME_EXITED;
	event.acted.reason = TEXT_NONE;
	world_step(&world, event);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_ACTED));
	world_pass(&world, LEAVE_ACTED_MS);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_NONE));
	cr_assert(not(world.rules.is_stopping));
}

Test(rules_leave, a_worker_that_was_told_to_end_still_hears_that_its_command_is_safe)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 9, .command = text_of("pull")}});
	uint32_t run = world_stored(&world, ACT_ACCEPT)->run;
	world_step(&world, world_event(&world, EVENT_STOP));
	cr_assert(world_sent(&world, MESSAGE_STOP) != NULL);
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ACCEPTED)->accepted.request, 9));
}

#define BEGAN_MS 1000

/* What a new supervisor finds. */
static void find_record(const struct record *record, bool is_owed, bool is_this_boot)
{
	struct rules_event event = world_event(&world, EVENT_FOUND);
	event.found.name = text_of(record->command);
	event.found.record = record;
	event.found.is_owed = is_owed;
	event.found.is_this_boot = is_this_boot;
	world_step(&world, event);
}

/* A command that is good, and when it began. */
static void find_begun(
	uint64_t sequence, const char *command, bool is_this_boot, uint64_t started_ms)
{
	struct record record = {.state = RECORD_FINISHED,
		.sequence = sequence,
		.origin = ORIGIN_DASHBOARD,
		.outcome = OUTCOME_EXITED,
		.started_mono_ms = started_ms,
		.deadline_ms = 60000};
	text_copy(text_of(command), record.command, sizeof(record.command));
	find_record(&record, true, is_this_boot);
}

Test(rules_leave, a_reboot_that_the_agent_before_announced_is_done)
{
	for (int is_this_boot = 0; is_this_boot < 2; is_this_boot++) {
		world_start(&world, PROTOCOL_WEBSOCKET);
		find_begun(1, "reboot", is_this_boot, BEGAN_MS);
		world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
		cr_assert(eq(int, (int)world.rules.leave.state,
			is_this_boot ? LEAVE_DELIVERING : LEAVE_NONE));
		for (uint64_t end = world.ms + 60000; world.ms < end;) {
			world_pass(&world, 1000);
			if (world_count(&world, ACTION_ACT) > 0)
				break;
		}
		cr_assert(eq(u32, world_count(&world, ACTION_ACT), (uint32_t)is_this_boot));
	}
}

Test(rules_leave, a_reboot_of_long_ago_is_named_and_one_before_other_commands_is_left)
{
	world_start(&world, PROTOCOL_WEBSOCKET);
	world.ms = BEGAN_MS + 60000 + LEAVE_ACTED_MS;
	find_begun(1, "reboot", true, BEGAN_MS);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_NONE));
	cr_assert(
		eq(str, world.rules.leave.trouble, "reboot: it was asked for and did not happen"));
	/* It may have taken all of its time. */
	world_start(&world, PROTOCOL_WEBSOCKET);
	world.ms = BEGAN_MS + 60000 + LEAVE_ACTED_MS - 1;
	find_begun(1, "reboot", true, BEGAN_MS);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_DELIVERING));
	world_start(&world, PROTOCOL_WEBSOCKET);
	find_begun(1, "reboot", true, BEGAN_MS);
	find_begun(2, "pull", true, BEGAN_MS);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_NONE));
	cr_assert(eq(str, world.rules.leave.trouble, ""));
}

/* A kernel that does not tell its boots apart must not make each of them reboot. */
Test(rules_leave, a_reboot_that_began_by_another_clock_is_left)
{
	world_start(&world, PROTOCOL_WEBSOCKET);
	find_begun(1, "reboot", true, world.ms + 1);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_NONE));
}

Test(rules_leave, a_command_that_never_began_does_not_hide_a_reboot)
{
	struct record record = {.state = RECORD_FINISHED,
		.sequence = 2,
		.origin = ORIGIN_DASHBOARD,
		.outcome = OUTCOME_CANCELLED,
		.command = "pull"};
	world_start(&world, PROTOCOL_WEBSOCKET);
	find_begun(1, "reboot", true, BEGAN_MS);
	find_record(&record, false, false);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_DELIVERING));
}

/* A worker may say it before the records are read, of which the last is a reboot that failed. */
Test(rules_leave, the_workers_wish_is_not_taken_for_a_reboot_that_failed)
{
	struct record record = {.state = RECORD_FINISHED,
		.sequence = 1,
		.outcome = OUTCOME_EXITED,
		.code = 1,
		.started_mono_ms = BEGAN_MS,
		.command = "reboot"};
	world_start(&world, PROTOCOL_WEBSOCKET);
	world.ms = BEGAN_MS + LEAVE_ACTED_MS;
	world_ready(&world);
	wants_to_leave();
	find_record(&record, false, true);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(str, world.rules.leave.trouble, ""));
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_DELIVERING));
}

/* What began meanwhile would be ended by it, or would keep the agent after this one from it. */
Test(rules_leave, nothing_begins_before_a_reboot_whose_result_the_disk_does_not_take)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = ask("reboot");
	struct rules_event event = world_event(&world, EVENT_RUNNER_REPORTED_START);
	event.runner_started.run = run;
	world_step(&world, event);
	event = world_event(&world, EVENT_RUNNER_REPORTED_RESULT);
	event.result.run = run;
	event.result.outcome = OUTCOME_EXITED;
	event.result.reason = event.result.summary = TEXT_NONE;
	world_step(&world, event);
	event = world_event(&world, EVENT_RUNNER_EXITED);
	event.runner_exited.run = run;
	event.runner_exited.why = TEXT_NONE;
	world_step(&world, event);
	world_done(&world, ACT_KEEP, run, EIO);
	ask("pull");
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	for (uint64_t end = world.ms + ANNOUNCE_DELIVER_MS; world.ms < end;) {
		cr_assert(eq(u32, world_count(&world, ACTION_ACT), 0));
		world_pass(&world, 1000);
	}
	cr_assert(eq(u32, world_count(&world, ACTION_ACT), 1));
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_ACTING));
	/* Once, also when the disk takes it then. */
	world_done(&world, ACT_KEEP, run, 0);
	for (uint64_t end = world.ms + 2 * (uint64_t)ANNOUNCE_DELIVER_MS; world.ms < end;) {
		world_pass(&world, 1000);
		cr_assert(eq(u32, world_count(&world, ACTION_ACT), 0));
	}
	cr_assert(eq(int, (int)world.rules.leave.state, LEAVE_ACTING));
}
