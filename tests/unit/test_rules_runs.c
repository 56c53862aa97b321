/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/rules_parts.h"
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
		event.result.reason = text_of("why");
		event.result.summary = text_of("7/8 pass");
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

static const struct rules_action *replied(void)
{
	for (uint32_t i = 0; i < world.actions.count; i++) {
		if (world.actions.list[i].type == ACTION_REPLY)
			return &world.actions.list[i];
	}
	return NULL;
}

/* A client of the control socket. */
static void asks(const char *command)
{
	struct rules_event event = world_event(&world, EVENT_ASKED_RUN);
	event.asked_run.client = 3;
	event.asked_run.command = text_of(command);
	world_step(&world, event);
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
	const struct message_ended *ended = &world_sent(&world, MESSAGE_ENDED)->ended;
	cr_assert(eq(i64, ended->code, 4));
	cr_assert(text_is(ended->reason, "why"));
	cr_assert(text_is(ended->summary, "7/8 pass"));
	delivered(run);
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	cr_assert(world_sent(&world, MESSAGE_MARKED) == NULL);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(world_sent(&world, MESSAGE_MARKED) != NULL);
	cr_assert(eq(u32, rules_count_owed(&world.rules), 0));
}

Test(rules_runs, the_wall_clock_of_the_asking_is_in_the_record_and_in_its_name)
{
	world_up(&world, PROTOCOL_HTTP);
	world.ms = 86400000;
	const struct rules_run *run = &world.rules.runs[ask("pull", 5)];
	cr_assert(eq(i64, run->wall_ms, 86400000));
	cr_assert(strncmp(run->name, "19700102T000000Z-pull-", 22) == 0, "%s", run->name);
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
		uint32_t run = ask("pull", i + 1);
		world_done(&world, ACT_ACCEPT, run, 0);
		reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
		reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
		cr_assert(eq(int, world_stored(&world, ACT_RETAIN) != NULL, removes[i]), "%u", i);
		if (i == 1)
			world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
		runner_exits(run);
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
	uint32_t run = ask("pull", 1);
	const char *name = world.rules.runs[run].name;
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
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

static void answer_pings(void)
{
	if (world_sent(&world, MESSAGE_PING))
		world_says(&world,
			(struct message){.type = MESSAGE_PONG, .pong = {.detail = TEXT_NONE}});
}

Test(rules_runs, a_token_that_the_disk_refused_is_kept_once_it_takes_it)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world,
		(struct message){.type = MESSAGE_TOKEN, .token = {.token = text_of("secret")}});
	cr_assert(world_stored(&world, ACT_TOKEN) != NULL);
	cr_assert(not(world.rules.token.is_kept));
	world_done(&world, ACT_TOKEN, RULES_NO_RUN, ENOSPC);
	while (!world_stored(&world, ACT_TOKEN)) {
		answer_pings();
		world_pass(&world, 1000);
		cr_assert(lt(u64, world.ms, 60000));
	}
	world_done(&world, ACT_TOKEN, RULES_NO_RUN, 0);
	cr_assert(world.rules.token.is_kept);
	for (uint64_t end = world.ms + 100000; world.ms < end;) {
		answer_pings();
		world_pass(&world, 1000);
		cr_assert(world_stored(&world, ACT_TOKEN) == NULL);
	}
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

Test(rules_runs, what_the_disk_refused_of_the_asking_does_not_slow_the_mark)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 1);
	world_done(&world, ACT_ACCEPT, run, ENOSPC);
	while (!world_stored(&world, ACT_ACCEPT))
		world_pass(&world, 2000);
	world_done(&world, ACT_ACCEPT, run, ENOSPC);
	while (!world_stored(&world, ACT_ACCEPT))
		world_pass(&world, 4000);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
	delivered(run);
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
		runs[i] = ask(names[i], i + 1);
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

static void cancels(bool is_kill)
{
	struct rules_event cancel = world_event(&world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.client = 3;
	cancel.asked_cancel.run = TEXT_NONE;
	cancel.asked_cancel.is_kill = is_kill;
	world_step(&world, cancel);
}

/* A command that takes all processes leaves none for the child that says so. */
Test(rules_runs, a_cancel_that_did_not_reach_the_runner_is_said_again)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	cancels(false);
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	cr_assert(world_stored(&world, ACT_CANCEL) == NULL); /* not at once: that would spin */
	while (world.ms < 5000 && !world_stored(&world, ACT_CANCEL))
		world_pass(&world, 5000 - world.ms);
	cr_assert(world_stored(&world, ACT_CANCEL) != NULL);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 't'));
	/* Who asks again meanwhile is not kept waiting, and haste is not taken back. */
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	cancels(true);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 'k'));
	cancels(false);
	world_done(&world, ACT_CANCEL, run, ETIMEDOUT);
	cancels(true);
	cr_assert(eq(int, world_stored(&world, ACT_CANCEL)->store.byte, 'k'));
	world_done(&world, ACT_CANCEL, run, 0);
	cr_assert(eq(u64, world.rules.runs[run].retry.ns, MONO_NEVER.ns));
}

Test(rules_runs, a_cancel_of_what_is_gone_is_not_said_again)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	cancels(false);
	world_done(&world, ACT_CANCEL, run, ESRCH);
	cr_assert(eq(u64, world.rules.runs[run].retry.ns, MONO_NEVER.ns));
}

/* What is still to be said to a runner is not said of its outcome, which nobody has been told. */
Test(rules_runs, a_cancel_that_waits_ends_with_its_run)
{
	world_up(&world, PROTOCOL_NONE);
	asks("switch");
	uint32_t run = world_stored(&world, ACT_ACCEPT)->run;
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(replied() && replied()->reply.is_good);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	cancels(false);
	cr_assert(replied() && replied()->reply.is_good);
	world_done(&world, ACT_CANCEL, run, EAGAIN);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
	world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
	world_pass(&world, 60000);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
}

/* Somebody makes room by hand while the agent runs. */
Test(rules_runs, a_removed_record_holds_neither_the_queue_nor_the_window)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("switch", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	runner_exits(run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	world_done(&world, ACT_SETTLE, run, ENOENT);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_ENDED)->ended.outcome, OUTCOME_LOST));
	delivered(run);
	world_done(&world, ACT_MARK, run, ENOENT);
	cr_assert(world_sent(&world, MESSAGE_MARKED) != NULL);
	uint32_t next = ask("pull", 2);
	world_done(&world, ACT_ACCEPT, next, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
}

/* The disk hangs, and what waits for it takes every place: a command that the dashboard gave away
 * is answered all the same, without a record. */
Test(rules_runs, where_every_place_is_live_a_command_is_refused_to_the_dashboard)
{
	static const enum protocol protocols[] = {PROTOCOL_HTTP, PROTOCOL_WEBSOCKET};
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		char run[RUN_NAME_BYTES_MAX + 1];
		world_up(&world, protocols[i]);
		for (uint64_t request = 1; request <= RUNS_KNOWN_MAX; request++)
			ask("nonsense", request);
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
		asks("pull");
		cr_assert(replied() != NULL);
		cr_assert(not(replied()->reply.is_good));
		cr_assert(text_is(
			replied()->reply.text, "too many commands wait for the host's disk"));
	}
}

static void found(uint32_t number, enum record_state state, bool is_live, uint64_t mono_ms)
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
	struct rules_event event = world_event(&world, EVENT_FOUND);
	snprintf(name, sizeof(name), "run-%02u", number);
	event.found.name = text_of(name);
	event.found.record = &record;
	event.found.is_owed = true;
	event.found.is_live = is_live;
	world_step(&world, event);
}

static void settled(uint32_t run, enum rules_act act, enum record_state state, bool is_live)
{
	struct record record = {.state = state,
		.outcome = state == RECORD_FINISHED ? OUTCOME_LOST : OUTCOME_NONE,
		.origin = ORIGIN_DASHBOARD,
		.command = "pull",
		.pid = state == RECORD_WAITING ? 0 : 4711,
		.start_ticks = state == RECORD_WAITING ? 0 : 99,
		.started_mono_ms = 1000,
		.deadline_ms = 120000};
	struct rules_event event = world_event(&world, EVENT_STORED);
	event.stored.act = act;
	event.stored.run = run;
	event.stored.record = &record;
	event.stored.is_live = is_live;
	world_step(&world, event);
}

Test(rules_runs, an_adopted_runner_is_watched_and_its_clock_is_the_records)
{
	world_start(&world, PROTOCOL_NONE);
	world.ms = 70000;
	found(1, RECORD_RUNNING, true, 10000);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(eq(u64, world.rules.runs[run].started.ns, 10000 * NS_PER_MS));
	cr_assert(eq(u64, world.rules.runs[run].deadline_ms, 120000));
	/* Nothing is asked of the disk until its process ends. */
	world_pass(&world, 50000);
	cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
	runner_exits(run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	settled(run, ACT_SETTLE, RECORD_FINISHED, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
}

/* Whoever holds the record may be a runner right before it writes that it starts. */
Test(rules_runs, a_record_that_waits_and_is_held_is_looked_at_until_it_is_free)
{
	world_start(&world, PROTOCOL_NONE);
	world.rules.pause.is_on = true;
	world.rules.pause.until = MONO_NEVER;
	found(1, RECORD_WAITING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(ne(u32, run, RULES_NO_RUN));
	world_pass(&world, 2000);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	/* It began: its process is watched now. */
	settled(run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	cr_assert(eq(u64, world.rules.runs[run].start_ticks, 99));
	runner_exits(run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	settled(run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
	cr_assert(eq(u32, rules_count_queued(&world.rules), 1));
}

Test(rules_runs, a_runner_of_our_own_is_killed_also_after_one_of_another_agents)
{
	world_start(&world, PROTOCOL_NONE);
	found(1, RECORD_WAITING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	world_pass(&world, 2000);
	settled(run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	struct rules_event event = world_event(&world, EVENT_RUNNER_STARTED);
	event.runner_started.run = run;
	event.runner_started.pid = 4712;
	event.runner_started.deadline_ms = 120000;
	world_step(&world, event);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	while (world_count(&world, ACTION_RUNNER_KILL) == 0) {
		cr_assert(eq(u32, world_count(&world, ACTION_STORE), 0));
		world_pass(&world, 10000);
		cr_assert(lt(u64, world.ms, 300000));
	}
}

/* Nobody listens yet: the cancel is said once its runner is known, or done where none begins. */
Test(rules_runs, what_is_about_to_begin_is_cancelled_when_it_is_known)
{
	for (int begins = 0; begins < 2; begins++) {
		world_start(&world, PROTOCOL_NONE);
		found(1, RECORD_WAITING, true, 0);
		world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
		uint32_t run = rules_busy_run(&world.rules);
		cancels(false);
		cr_assert(world_stored(&world, ACT_CANCEL) == NULL);
		cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
		settled(run, ACT_SETTLE, RECORD_WAITING, true);
		world_pass(&world, 5000);
		cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
		settled(run, ACT_SETTLE, begins ? RECORD_RUNNING : RECORD_WAITING, begins);
		cr_assert(world_stored(&world, begins ? ACT_CANCEL : ACT_KEEP) != NULL);
	}
}

Test(rules_runs, a_clock_of_the_record_that_lies_ahead_begins_now)
{
	world_start(&world, PROTOCOL_NONE);
	found(1, RECORD_RUNNING, true, UINT64_MAX);
	uint32_t run = rules_busy_run(&world.rules);
	cr_assert(eq(u64, world.rules.runs[run].started.ns, world.rules.now.ns));
}

Test(rules_runs, a_hung_adopted_runner_is_ended_by_a_store_child_after_every_limit)
{
	uint64_t limit = 120000 + COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS;
	world_start(&world, PROTOCOL_NONE);
	world.ms = 70000;
	found(1, RECORD_RUNNING, true, 10000);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	while (world_stored(&world, ACT_END) == NULL) {
		cr_assert(le(u64, world.ms, 10000 + limit));
		world_pass(&world, 10000);
	}
	cr_assert(eq(u64, world.ms, 10000 + limit));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_KILL), 0));
	/* It could not be ended: asked again, in pauses, while the place stays taken. */
	settled(run, ACT_END, RECORD_RUNNING, true);
	cr_assert(eq(u32, rules_busy_run(&world.rules), run));
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 0));
	world_pass(&world, 60000);
	cr_assert(world_stored(&world, ACT_END) != NULL);
	settled(run, ACT_END, RECORD_FINISHED, false);
	cr_assert(eq(u32, rules_busy_run(&world.rules), RULES_NO_RUN));
}

Test(rules_runs, an_adopted_switch_may_wait_for_an_activation_as_well)
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

Test(rules_runs, a_record_that_stays_held_without_its_process_is_asked_again_in_pauses)
{
	world_start(&world, PROTOCOL_NONE);
	found(1, RECORD_RUNNING, true, 1000);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	uint32_t run = rules_busy_run(&world.rules);
	runner_exits(run);
	settled(run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 0));
	uint64_t start = world.ms;
	world_pass(&world, 10000);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	cr_assert(ge(u64, world.ms - start, 1000));
}

Test(rules_runs, s13_after_an_absence_of_our_own_no_runner_is_overdue_at_once)
{
	world_up(&world, PROTOCOL_NONE);
	world_start(&world, PROTOCOL_NONE);
	found(1, RECORD_RUNNING, true, 1000);
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

Test(rules_runs, a_runner_that_dies_before_it_starts_anything_is_tried_three_times)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 1);
	world_done(&world, ACT_ACCEPT, run, 0);
	for (int i = 1; i < RUNNER_STARTS_MAX; i++) {
		runner_exits(run);
		settled(run, ACT_SETTLE, RECORD_WAITING, false);
		cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	}
	runner_exits(run);
	settled(run, ACT_SETTLE, RECORD_WAITING, false);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	cr_assert(eq(int, (int)world.rules.runs[run].outcome, OUTCOME_REFUSED));
}

Test(rules_runs, what_is_asked_before_the_records_are_read_is_numbered_after_them)
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
	found(40, RECORD_WAITING, false, 0);
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

Test(rules_runs, a_local_command_that_the_disk_refused_is_refused_there_too)
{
	world_up(&world, PROTOCOL_NONE);
	struct rules_event asked = world_event(&world, EVENT_ASKED_RUN);
	asked.asked_run.client = 1;
	asked.asked_run.command = text_of("pull");
	world_step(&world, asked);
	world_done(&world, ACT_ACCEPT, 0, EIO);
	cr_assert(eq(u32, world_count(&world, ACTION_REPLY), 1));
	cr_assert(not(world.actions.list[0].reply.is_good));
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	cr_assert(eq(int, (int)world.rules.runs[0].outcome, OUTCOME_REFUSED));
	world_done(&world, ACT_KEEP, 0, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
}

Test(rules_runs, a_cancel_without_a_name_ends_what_is_about_to_start)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = ask("pull", 5);
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

Test(rules_runs, s25_over_a_websocket_one_that_is_being_accepted_is_in_the_way)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	ask("pull", 5);
	uint32_t second = ask("switch", 6);
	world_done(&world, ACT_ACCEPT, second, 0);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(eq(u64, ended->ended.outcome, OUTCOME_REFUSED));
	cr_assert(eq(i64, ended->ended.code, REFUSAL_BUSY));
}

Test(rules_runs, what_was_asked_before_the_records_were_read_is_refused_as_busy_is)
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

Test(rules_runs, a_result_that_the_record_had_already_is_the_one_that_is_told)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
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

/* A runner of the agent before had waited for its turn, and began the command that was thought to
 * wait. */
Test(rules_runs, a_cancel_of_what_another_runner_began_reaches_it)
{
	world_start(&world, PROTOCOL_HTTP);
	world.rules.pause.is_on = true;
	found(1, RECORD_WAITING, false, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	struct rules_event cancel = world_event(&world, EVENT_ASKED_CANCEL);
	cancel.asked_cancel.run = TEXT_NONE;
	cancel.asked_cancel.client = 1;
	world_step(&world, cancel);
	uint32_t run = world_stored(&world, ACT_KEEP)->run;
	world_done(&world, ACT_KEEP, run, EEXIST);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	settled(run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WATCH), 1));
	cr_assert(world_stored(&world, ACT_CANCEL) != NULL);
}

Test(rules_runs, what_another_runner_began_is_named_to_the_worker)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
	runner_exits(run);
	cr_assert(world_stored(&world, ACT_SETTLE) != NULL);
	/* That one waits for its turn. */
	settled(run, ACT_SETTLE, RECORD_WAITING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
	runs_worker_ready(&world.rules, &world.actions);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED) != NULL);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
	settled(run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) != NULL);
	cr_assert(eq(u64, world_sent(&world, MESSAGE_STARTED)->started.pid, 4711));
	/* It goes on: another look is no news. */
	settled(run, ACT_SETTLE, RECORD_RUNNING, true);
	cr_assert(world_sent(&world, MESSAGE_STARTED) == NULL);
}

Test(rules_runs, after_a_good_switch_over_a_websocket_the_agent_leaves_whoever_told_it)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t run = ask("switch", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
	delivered(run);
	world_worker_exits(&world);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(eq(int, world.rules.leave.state, LEAVE_DELIVERING));
}

Test(rules_runs, nothing_starts_while_what_an_ended_one_left_is_there)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t first = ask("switch", 5);
	world_done(&world, ACT_ACCEPT, first, 0);
	reports(EVENT_RUNNER_REPORTED_START, first, 0, false);
	uint32_t second = ask("pull", 6);
	world_done(&world, ACT_ACCEPT, second, 0);
	reports(EVENT_RUNNER_REPORTED_RESULT, first, 0, true);
	cr_assert(world_sent(&world, MESSAGE_ENDED) != NULL);
	cr_assert(eq(u32, rules_leftover_run(&world.rules), first));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	runner_exits(first);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	cr_assert(eq(u32, rules_leftover_run(&world.rules), RULES_NO_RUN));
}

Test(rules_runs, what_one_left_is_waited_for_by_the_next_agent_too)
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
	uint32_t next = ask("pull", 6);
	world_done(&world, ACT_ACCEPT, next, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	runner_exits(rules_leftover_run(&world.rules));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
}

Test(rules_runs, a_new_worker_is_told_what_waits)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	world.rules.is_cloning = true;
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
	world_worker_exits(&world);
	while (world_count(&world, ACTION_WORKER_START) == 0)
		world_pass(&world, 60000);
	world_ready(&world);
	const struct message *accepted = world_sent(&world, MESSAGE_ACCEPTED);
	cr_assert(accepted && accepted->accepted.queued);
	cr_assert(text_is(accepted->accepted.run, world.rules.runs[run].name));
}

/* One is just being made for the agent before: its number, the next one, is in no record yet. */
Test(rules_runs, a_number_that_may_be_taken_is_not_given_again)
{
	for (int is_unsettled = 0; is_unsettled < 2; is_unsettled++) {
		world_start(&world, PROTOCOL_NONE);
		struct rules_event event = world_event(&world, EVENT_STORED);
		event.stored.act = ACT_SCAN;
		event.stored.run = RULES_NO_RUN;
		event.stored.sequence = 21;
		event.stored.is_unsettled = is_unsettled;
		world_step(&world, event);
		event = world_event(&world, EVENT_ASKED_RUN);
		event.asked_run.command = text_of("pull");
		event.asked_run.client = 1;
		world_step(&world, event);
		const struct rules_action *action = world_stored(&world, ACT_ACCEPT);
		cr_assert(action != NULL);
		cr_assert(eq(u64, world.rules.runs[action->run].sequence,
			is_unsettled ? 22 + STORE_CHILDREN_MAX : 22));
	}
}

/* Cancelled before it began, and the disk took that only after a later command had ended. */
Test(rules_runs, an_end_that_comes_after_a_later_commands_is_told_as_an_old_one)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t first = ask("switch", 1);
	world_says(&world, (struct message){.type = MESSAGE_CANCEL, .cancel = {TEXT_NONE, false}});
	world_done(&world, ACT_ACCEPT, first, 0);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL);
	world_done(&world, ACT_KEEP, first, EIO);
	uint32_t second = ask("pull", 2);
	world_done(&world, ACT_ACCEPT, second, 0);
	reports(EVENT_RUNNER_REPORTED_START, second, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, second, 0, true);
	cr_assert(not(world_sent(&world, MESSAGE_ENDED)->ended.again));
	world_done(&world, ACT_KEEP, first, 0);
	cr_assert(world_sent(&world, MESSAGE_ENDED)->ended.again);
}

/* It ran, and the disk took its result only after a later command had ended. */
Test(rules_runs, what_a_late_end_says_of_the_host_comes_before_what_later_commands_say)
{
	world_up(&world, PROTOCOL_WEBSOCKET);
	uint32_t first = ask("pull", 1);
	world_done(&world, ACT_ACCEPT, first, 0);
	reports(EVENT_RUNNER_REPORTED_START, first, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, first, 0, false);
	struct rules_event event = world_event(&world, EVENT_RUNNER_EXITED);
	event.runner_exited.run = first;
	event.runner_exited.why = TEXT_NONE;
	world_step(&world, event);
	world_done(&world, ACT_KEEP, first, EIO);
	uint32_t second = ask("switch", 2);
	world_done(&world, ACT_ACCEPT, second, 0);
	reports(EVENT_RUNNER_REPORTED_START, second, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, second, 0, true);
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

/* An agent before was still accepting it when the records were read. */
Test(rules_runs, what_a_later_look_finds_and_then_runs_is_told_as_a_new_end)
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
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
	const struct message *ended = world_sent(&world, MESSAGE_ENDED);
	cr_assert(ended != NULL);
	cr_assert(not(ended->ended.again));
}

/* Stops at once where nothing holds it: the worker is gone already. */
static void stop_without_worker(void)
{
	world_worker_exits(&world);
	world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
	world_step(&world, world_event(&world, EVENT_STOP));
}

Test(rules_runs, a_stop_waits_for_a_result_that_only_this_process_has)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 3, false);
	runner_exits(run);
	world_done(&world, ACT_KEEP, run, EIO);
	stop_without_worker();
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL, "it is asked at once");
	world_done(&world, ACT_KEEP, run, EIO);
	world_pass(&world, 1000);
	cr_assert(world_stored(&world, ACT_KEEP) != NULL, "and again");
	world_done(&world, ACT_KEEP, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
}

Test(rules_runs, a_stop_waits_for_a_command_that_the_disk_did_not_take_yet)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, EIO);
	stop_without_worker();
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
}

Test(rules_runs, a_stop_waits_for_the_records_that_a_command_waits_for_but_not_for_ever)
{
	for (int is_read = 0; is_read < 2; is_read++) {
		world_start(&world, PROTOCOL_HTTP);
		world_probed(&world, true);
		world_ready(&world);
		world_says(&world, (struct message){.type = MESSAGE_RUN,
					   .run = {.request = 5, .command = text_of("pull")}});
		stop_without_worker();
		cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
		if (is_read) {
			world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
			cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
			world_done(&world, ACT_ACCEPT, 0, 0);
		} else {
			world_pass(&world, SUPERVISOR_STOP_MS);
		}
		cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
	}
}

Test(rules_runs, a_stop_waits_for_a_mark_so_that_nothing_is_told_twice)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, run, 0);
	reports(EVENT_RUNNER_REPORTED_START, run, 0, false);
	reports(EVENT_RUNNER_REPORTED_RESULT, run, 0, true);
	world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
	runner_exits(run);
	delivered(run);
	world_done(&world, ACT_MARK, run, EIO);
	stop_without_worker();
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
}

Test(rules_runs, a_stop_waits_for_what_is_being_kept)
{
	static const enum rules_act acts[] = {ACT_TOKEN, ACT_PAUSE, ACT_FLIGHT};
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		world_up(&world, PROTOCOL_HTTP);
		if (acts[i] == ACT_TOKEN)
			world_says(&world, (struct message){.type = MESSAGE_TOKEN,
						   .token = {.token = text_of("secret")}});
		if (acts[i] == ACT_PAUSE) {
			struct rules_event event = world_event(&world, EVENT_ASKED_PAUSE);
			event.asked_pause.is_on = true;
			event.asked_pause.for_ms = PAUSE_FOR_EVER;
			event.asked_pause.reason = TEXT_NONE;
			world_step(&world, event);
		}
		world_worker_exits(&world);
		if (acts[i] != ACT_FLIGHT)
			world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
		world_step(&world, world_event(&world, EVENT_STOP));
		cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
		world_done(&world, acts[i], RULES_NO_RUN, 0);
		cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
	}
}

Test(rules_runs, more_held_records_than_actions_are_survived)
{
	static const char *const commands[] = {"pull", "switch", "test", "update", "rollback"};
	world_start(&world, PROTOCOL_WEBSOCKET);
	world_probed(&world, true);
	world_ready(&world);
	for (uint32_t i = 0; i < RUNS_KNOWN_MAX; i++)
		found(i + 1, RECORD_RUNNING, true, 0);
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

Test(rules_runs, whoever_asked_before_the_records_were_read_hears_of_the_refusal)
{
	world_start(&world, PROTOCOL_HTTP);
	struct rules_event asked = world_event(&world, EVENT_ASKED_RUN);
	asked.asked_run.client = 1;
	asked.asked_run.command = text_of("test");
	world_step(&world, asked);
	found(1, RECORD_RUNNING, true, 0);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	const struct rules_action *accept = world_stored(&world, ACT_ACCEPT);
	cr_assert(accept != NULL);
	world_done(&world, ACT_ACCEPT, accept->run, 0);
	cr_assert(replied() != NULL);
	cr_assert(not(replied()->reply.is_good));
	cr_assert(text_is(replied()->reply.text, "pull is running: cancel it first, or wait"));
}

/* Whatever keeps a command waiting: the same one need not wait twice, and whoever asked is told. */
Test(rules_runs, behind_a_clone_the_same_name_waits_once_too)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_PROBE,
				   .probe = {.request = 1, .name = text_of("clone")}});
	uint32_t first = ask("pull", 5);
	world_done(&world, ACT_ACCEPT, first, 0);
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED)->accepted.queued);
	uint32_t second = ask("pull", 6);
	cr_assert(eq(int, (int)world.rules.runs[second].outcome, OUTCOME_REFUSED));
	cr_assert(eq(str, world.rules.runs[second].reason, "pull is already waiting in the queue"));
}
