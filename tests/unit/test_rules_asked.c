/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is asked for: accepted, refused or cancelled. */
#include "tests/unit/rules_world.h"

#include <errno.h>

static struct world world;

Test(rules_asked, the_wall_clock_of_the_asking_is_in_the_record_and_in_its_name)
{
	world_up(&world, PROTOCOL_HTTP);
	world.ms = 86400000;
	const struct rules_run *run = &world.rules.runs[world_ask(&world, "pull", 5)];
	cr_assert(eq(i64, run->wall_ms, 86400000));
	cr_assert(strncmp(run->name, "19700102T000000Z-pull-", 22) == 0, "%s", run->name);
}

Test(rules_asked, s25_over_http_eight_wait_the_same_name_once_and_one_more_is_refused)
{
	world_up(&world, PROTOCOL_HTTP);
	rules_add_host_op(&world.rules, text_of("a"));
	rules_add_host_op(&world.rules, text_of("b"));
	rules_add_host_op(&world.rules, text_of("c"));
	rules_add_host_op(&world.rules, text_of("d"));
	static const char *const names[] = {
		"switch", "pull", "test", "update", "pull-switch", "a", "b", "c", "d"};
	for (uint64_t i = 0; i < 9; i++) {
		uint32_t run = world_ask(&world, names[i], i);
		world_done(&world, ACT_ACCEPT, run, 0);
		cr_assert(eq(int, world_sent(&world, MESSAGE_ACCEPTED)->accepted.queued, i > 0));
	}
	cr_assert(eq(u32, rules_count_queued(&world.rules), 8));
	world_accept(&world, "pull", 20);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(eq(int, (int)ended->ended.outcome, OUTCOME_REFUSED));
	cr_assert(text_is(ended->ended.reason, "pull is already waiting in the queue"));
	uint32_t ninth = world_accept(&world, "restart", 21);
	cr_assert(eq(int, (int)world.rules.runs[ninth].outcome, OUTCOME_REFUSED));
	cr_assert(eq(u32, rules_count_queued(&world.rules), 8));
}

Test(rules_asked, an_unknown_command_is_refused_durably_and_owed)
{
	world_up(&world, PROTOCOL_HTTP);
	world_accept(&world, "dance", 1);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(text_is(ended->ended.reason, "Unknown command: dance"));
	cr_assert(eq(u32, rules_count_owed(&world.rules), 1));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
}

Test(rules_asked, a_cancel_that_comes_too_early_is_said_when_the_runner_listens)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_accept(&world, "switch", 1);
	struct rules_event cancel = world_event(&world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.client = 3;
	cancel.asked_cancel.run = TEXT_NONE;
	world_step(&world, cancel);
	cr_assert(world_stored(&world, ACT_CANCEL) == NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_REPLY), 1));
	world_runner_begins(&world, run);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 't'));
}

/* A command that takes all processes leaves none for the child that says so. */
Test(rules_asked, a_cancel_that_did_not_reach_the_runner_is_said_again)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "switch", 1);
	world_cancel(&world, false);
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	cr_assert(world_stored(&world, ACT_CANCEL) == NULL); /* not at once: that would spin */
	while (world.ms < 5000 && !world_stored(&world, ACT_CANCEL))
		world_pass(&world, 5000 - world.ms);
	cr_assert(world_stored(&world, ACT_CANCEL) != NULL);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 't'));
	/* Who asks again meanwhile is not kept waiting, and haste is not taken back. */
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	world_cancel(&world, true);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 'k'));
	world_cancel(&world, false);
	world_done(&world, ACT_CANCEL, run, ETIMEDOUT);
	world_cancel(&world, true);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 'k'));
	world_done(&world, ACT_CANCEL, run, 0);
	cr_assert(eq(u64, world.rules.runs[run].retry.ns, MONO_NEVER.ns));
}

Test(rules_asked, a_cancel_of_what_is_gone_is_not_said_again)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "switch", 1);
	world_cancel(&world, false);
	world_done(&world, ACT_CANCEL, run, ESRCH);
	cr_assert(eq(u64, world.rules.runs[run].retry.ns, MONO_NEVER.ns));
}

/* What is still to be said to a runner is not said of its outcome, which nobody has been told. */
Test(rules_asked, a_cancel_that_waits_ends_with_its_run)
{
	world_up(&world, PROTOCOL_NONE);
	world_client_asks(&world, "switch");
	uint32_t run = world_stored(&world, ACT_ACCEPT)->run;
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(world_replied(&world) && world_replied(&world)->reply.is_good);
	world_runner_begins(&world, run);
	world_cancel(&world, false);
	cr_assert(world_replied(&world) && world_replied(&world)->reply.is_good);
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	world_runner_ends(&world, run, 0, true);
	world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
	world_pass(&world, 60000);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
}

/* The disk hangs, and what waits for it takes every place: a command that the dashboard gave away
 * is answered all the same, without a record. */
Test(rules_asked, where_every_place_is_live_a_command_is_refused_to_the_dashboard)
{
	static const enum protocol protocols[] = {PROTOCOL_HTTP, PROTOCOL_WEBSOCKET};
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		char run[RUN_NAME_BYTES_MAX + 1];
		world_up(&world, protocols[i]);
		for (uint64_t request = 1; request <= RUNS_KNOWN_MAX; request++)
			world_ask(&world, "nonsense", request);
		world_says(&world, (struct message){.type = MESSAGE_RUN,
					   .run = {.request = 100, .command = text_of("pull")}});
		cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
		const struct message *accepted = world_sent(&world, MESSAGE_ACCEPTED);
		cr_assert(accepted != NULL);
		cr_assert(eq(u64, accepted->accepted.request, 100));
		cr_assert(eq(u32, accepted->accepted.run.size, 0));
		const struct message *ended = world_sent(&world, MESSAGE_ENDED);
		cr_assert(ended != NULL);
		cr_assert(ended->ended.owed);
		cr_assert(text_is(ended->ended.command, "pull"));
		cr_assert(eq(int, (int)ended->ended.outcome, OUTCOME_REFUSED));
		cr_assert(
			text_is(ended->ended.reason, "too many commands wait for the host's disk"));
		/* The worker keeps it until it hears that it is marked. */
		text_copy(ended->ended.run, run, sizeof(run));
		cr_assert(record_name_is_legal(text_of(run)));
		world_says(&world, (struct message){.type = MESSAGE_DELIVERED,
					   .delivered = {.run = text_of(run)}});
		const struct message *marked = world_sent(&world, MESSAGE_MARKED);
		cr_assert(marked && text_is(marked->marked.run, run));
		world_says(&world, (struct message){.type = MESSAGE_RUN,
					   .run = {.request = 101, .command = text_of("more")}});
		cr_assert(text_is(
			world_sent(&world, MESSAGE_ENDED)->ended.reason, "Unknown command: more"));
		world_client_asks(&world, "pull");
		cr_assert(world_replied(&world) != NULL);
		cr_assert(not(world_replied(&world)->reply.is_good));
		cr_assert(text_is(world_replied(&world)->reply.text,
			"too many commands wait for the host's disk"));
	}
}

Test(rules_asked, what_is_asked_before_the_records_are_read_is_numbered_after_them)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, true);
	world_ready(&world);
	for (uint64_t i = 1; i <= 2; i++) {
		world_says(&world, (struct message){.type = MESSAGE_RUN,
					   .run = {.request = i,
						   .command = text_of(i == 1 ? "test" : "pull")}});
		cr_assert(world_stored(&world, ACT_ACCEPT) == NULL);
	}
	world_find(&world, 40, RECORD_WAITING, false, 0);
	struct rules_event event = world_event(&world, EVENT_STORED);
	event.stored.act = ACT_SCAN;
	event.stored.run = RULES_NO_RUN;
	event.stored.sequence = 40;
	world_step(&world, event);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 2));
	cr_assert(eq(u64, world.rules.runs[0].sequence, 41));
	cr_assert(eq(str, world.rules.runs[0].command, "test"));
	cr_assert(eq(u64, world.rules.runs[1].sequence, 42));
	/* The one that waited on the disk goes first. */
	for (uint32_t i = 0; i < world.actions.count; i++) {
		const struct rules_action *action = &world.actions.list[i];
		if (action->type == ACTION_RUNNER_START)
			cr_assert(eq(str, world.rules.runs[action->run].name, "run-40"));
	}
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
}

Test(rules_asked, a_local_command_that_the_disk_refused_is_refused_there_too)
{
	world_up(&world, PROTOCOL_NONE);
	world_client_asks(&world, "pull");
	world_done(&world, ACT_ACCEPT, 0, EIO);
	cr_assert(eq(u32, world_count(&world, ACTION_REPLY), 1));
	cr_assert(not(world.actions.list[0].reply.is_good));
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	cr_assert(eq(int, (int)world.rules.runs[0].outcome, OUTCOME_REFUSED));
	world_done(&world, ACT_KEEP, 0, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
}

Test(rules_asked, a_cancel_without_a_name_ends_what_is_about_to_start)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = world_ask(&world, "pull", 5);
	world_says(&world, (struct message){.type = MESSAGE_CANCEL});
	cr_assert(eq(u32, world.actions.count, 0));
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ENDED)->ended.outcome, OUTCOME_CANCELLED));
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
}

Test(rules_asked, s25_over_a_websocket_one_that_is_being_accepted_is_in_the_way)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	world_ask(&world, "pull", 5);
	world_accept(&world, "switch", 6);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(eq(u64, ended->ended.outcome, OUTCOME_REFUSED));
	cr_assert(eq(i64, ended->ended.code, REFUSAL_BUSY));
}

Test(rules_asked, what_was_asked_before_the_records_were_read_is_refused_as_busy_is)
{
	world_start(&world, PROTOCOL_WEBSOCKET);
	world_probed(&world, true);
	world_ready(&world);
	for (uint64_t request = 1; request <= 2; request++)
		world_says(&world,
			(struct message){.type = MESSAGE_RUN,
				.run = {.request = request,
					.command = text_of(request == 1 ? "pull" : "switch")}});
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 2));
	world_done(&world, ACT_ACCEPT, world.actions.list[1].run, 0);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(eq(i64, ended->ended.code, REFUSAL_BUSY));
}

Test(rules_asked, whoever_asked_before_the_records_were_read_hears_of_the_refusal)
{
	world_start(&world, PROTOCOL_HTTP);
	world_client_asks(&world, "test");
	world_find(&world, 1, RECORD_RUNNING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	const struct rules_action *accept = world_stored(&world, ACT_ACCEPT);
	cr_assert(accept != NULL);
	world_done(&world, ACT_ACCEPT, accept->run, 0);
	cr_assert(world_replied(&world) != NULL);
	cr_assert(not(world_replied(&world)->reply.is_good));
	cr_assert(text_is(
		world_replied(&world)->reply.text, "pull is running: cancel it first, or wait"));
}

/* Whatever keeps a command waiting: the same one need not wait twice, and whoever asked is told. */
Test(rules_asked, behind_a_clone_the_same_name_waits_once_too)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_PROBE,
				   .probe = {.request = 1, .name = text_of("clone")}});
	world_accept(&world, "pull", 5);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED)->accepted.queued);
	uint32_t second = world_ask(&world, "pull", 6);
	cr_assert(eq(int, (int)world.rules.runs[second].outcome, OUTCOME_REFUSED));
	cr_assert(eq(str, world.rules.runs[second].reason, "pull is already waiting in the queue"));
}
