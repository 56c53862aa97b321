/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>

#include "tests/unit/rules_world.h"

#define HOUR_MS UINT64_C(3600000)

static struct world world;
/* How far the wall clock is from where it would be. */
static int64_t jump_ms;

static void step(struct rules_event event)
{
	event.wall.ns += jump_ms * (int64_t)NS_PER_MS;
	world_step(&world, event);
}

static void ask(bool is_on, uint64_t for_ms)
{
	struct rules_event event = world_event(&world, EVENT_ASKED_PAUSE);
	event.asked_pause.client = 9;
	event.asked_pause.is_on = is_on;
	event.asked_pause.for_ms = for_ms;
	event.asked_pause.reason = text_of("the disk is being copied");
	step(event);
}

static void stored(int error)
{
	struct rules_event event = world_event(&world, EVENT_STORED);
	event.stored.act = ACT_PAUSE;
	event.stored.run = RULES_NO_RUN;
	event.stored.error = error;
	step(event);
}

static void pause_for(uint64_t for_ms)
{
	ask(true, for_ms);
	cr_assert(world_stored(&world, ACT_PAUSE) != NULL);
	cr_assert(world_replied(&world) == NULL, "said before it is on the disk");
	stored(0);
	cr_assert(world_replied(&world) != NULL && world_replied(&world)->reply.is_good);
}

static const struct rules_action *hand_over(const char *command)
{
	world_says(&world, (struct message){.type = MESSAGE_RUN,
				   .run = {.request = 4, .command = text_of(command)}});
	return world_stored(&world, ACT_ACCEPT);
}

/* Lets time pass as the loop does; pings are answered, and what is kept is kept. */
static void pass(uint64_t ms)
{
	uint64_t end = world.ms + ms;
	while (world.ms < end) {
		struct mono due = rules_due(&world.rules);
		uint64_t at = (due.ns + NS_PER_MS - 1) / NS_PER_MS;
		world.ms = due.ns > end * NS_PER_MS ? end : at > world.ms ? at : world.ms + 1;
		step(world_event(&world, EVENT_DUE));
		bool is_storing = world_stored(&world, ACT_PAUSE) != NULL;
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world,
				(struct message){.type = MESSAGE_PONG, .pong = {.link = LINK_UP}});
		if (is_storing)
			stored(0);
	}
}

static void up(enum protocol protocol)
{
	jump_ms = 0;
	world_up(&world, protocol);
}

Test(rules_pause, what_arrives_over_http_waits_and_starts_when_resumed)
{
	up(PROTOCOL_HTTP);
	pause_for(PAUSE_FOR_EVER);
	uint32_t run = hand_over("pull")->run;
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(world_sent(&world, MESSAGE_ACCEPTED)->accepted.queued);
	pass(48 * HOUR_MS);
	cr_assert(world.rules.pause.is_on);
	ask(false, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	cr_assert(not(world_sent(&world, MESSAGE_PAUSED)->paused.paused));
	stored(0);
	cr_assert(text_is(world_replied(&world)->reply.text, "resumed"));
}

Test(rules_pause, over_a_websocket_a_command_is_refused_with_the_sentence)
{
	up(PROTOCOL_WEBSOCKET);
	pause_for(HOUR_MS);
	uint32_t run = hand_over("pull")->run;
	cr_assert(eq(int, world.rules.runs[run].outcome, OUTCOME_REFUSED));
	cr_assert(eq(str, (char *)world.rules.runs[run].reason,
		"paused until 1970-01-01T01:00:01Z: the disk is being copied"));
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(text_is(world_sent(&world, MESSAGE_ENDED)->ended.reason,
		"paused until 1970-01-01T01:00:01Z: the disk is being copied"));
}

Test(rules_pause, what_runs_goes_on)
{
	up(PROTOCOL_HTTP);
	uint32_t run = hand_over("pull")->run;
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 1));
	pause_for(HOUR_MS);
	cr_assert(eq(u32, rules_busy_run(&world.rules), run));
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_KILL), 0));
}

Test(rules_pause, it_ends_at_its_time)
{
	up(PROTOCOL_HTTP);
	pause_for(2 * HOUR_MS);
	pass(2 * HOUR_MS - 1);
	cr_assert(world.rules.pause.is_on);
	cr_assert(eq(u64, rules_pause_left_ms(&world.rules), 1));
	pass(1);
	cr_assert(not(world.rules.pause.is_on));
}

Test(rules_pause, a_clock_that_jumps_back_ten_years_does_not_keep_it)
{
	up(PROTOCOL_NONE);
	pause_for(HOUR_MS);
	jump_ms = -(int64_t)(87600 * HOUR_MS);
	pass(HOUR_MS - 1);
	cr_assert(world.rules.pause.is_on);
	pass(1);
	cr_assert(not(world.rules.pause.is_on));
}

Test(rules_pause, a_clock_that_jumps_ahead_ends_it_early_by_no_more_than_the_jump)
{
	up(PROTOCOL_NONE);
	pause_for(3 * HOUR_MS);
	jump_ms = (int64_t)HOUR_MS;
	pass(2 * HOUR_MS - 1000);
	cr_assert(world.rules.pause.is_on);
	pass(PAUSE_LOOK_MS + 1000);
	cr_assert(not(world.rules.pause.is_on));
}

Test(rules_pause, a_sleep_counts)
{
	up(PROTOCOL_NONE);
	pause_for(3 * HOUR_MS);
	jump_ms = (int64_t)(8 * HOUR_MS); /* the monotonic clock stood still */
	pass(PAUSE_LOOK_MS);
	cr_assert(not(world.rules.pause.is_on));
}

Test(rules_pause, it_is_remembered_over_a_start_with_what_is_left)
{
	memset(&world.rules, 0, sizeof(world.rules));
	jump_ms = 0;
	world.ms = 1000;
	rules_init(&world.rules);
	struct rules_event event = world_event(&world, EVENT_START);
	event.start.protocol = PROTOCOL_NONE;
	event.start.pause = (struct rules_kept_pause){.is_on = true,
		.until_wall_ms = 1000 + (int64_t)(5 * HOUR_MS),
		.left_ms = HOUR_MS,
		.reason = text_of("maintenance")};
	step(event);
	cr_assert(world.rules.pause.is_on);
	cr_assert(eq(u64, rules_pause_left_ms(&world.rules), HOUR_MS));
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	pass(HOUR_MS);
	cr_assert(not(world.rules.pause.is_on));
}

Test(rules_pause, a_disk_that_refuses_is_said_and_tried_again)
{
	up(PROTOCOL_NONE);
	ask(true, HOUR_MS);
	stored(ENOSPC);
	cr_assert(not(world_replied(&world)->reply.is_good));
	cr_assert(world.rules.pause.is_on);
	world_pass(&world, 31000);
	cr_assert(world_stored(&world, ACT_PAUSE) != NULL);
}

Test(rules_pause, a_resume_while_it_is_being_kept_is_kept_after_it)
{
	up(PROTOCOL_NONE);
	ask(true, HOUR_MS);
	ask(false, 0);
	cr_assert(not(world_replied(&world)->reply.is_good)); /* the first one's client */
	stored(0);
	cr_assert(world_stored(&world, ACT_PAUSE) != NULL);
	cr_assert(world_replied(&world) == NULL);
	stored(0);
	cr_assert(text_is(world_replied(&world)->reply.text, "resumed"));
}

Test(rules_pause, its_end_is_looked_for_on_both_clocks)
{
	world_start(&world, PROTOCOL_NONE);
	jump_ms = 0;
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	pause_for(2 * PAUSE_LOOK_MS + 1000);
	/* The wall clock may jump; the monotonic one does not. */
	cr_assert(eq(u64, rules_due(&world.rules).ns, (world.ms + PAUSE_LOOK_MS) * NS_PER_MS));
	pass(2 * PAUSE_LOOK_MS);
	cr_assert(eq(u64, rules_due(&world.rules).ns, (world.ms + 1000) * NS_PER_MS));
}

Test(rules_pause, whoever_asks_is_answered_and_the_worker_hears_of_it)
{
	up(PROTOCOL_HTTP);
	ask(false, 0);
	cr_assert(world_replied(&world) != NULL);
	cr_assert(eq(u64, world_replied(&world)->reply.client, 9));
	cr_assert(world_replied(&world)->reply.is_good && world_replied(&world)->reply.is_said);
	cr_assert(text_is(world_replied(&world)->reply.text, "it was not paused"));
	ask(true, HOUR_MS);
	cr_assert(world_sent(&world, MESSAGE_PAUSED)->paused.paused);
	stored(0);
	cr_assert(world_replied(&world) != NULL);
	/* Once: what the clock ends later has nobody who waits for it. */
	pass(HOUR_MS);
	cr_assert(not(world.rules.pause.is_on));
	cr_assert(world_replied(&world) == NULL);
}
