/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/rules_world.h"

static struct world world;

/* The milliseconds until the next action of this type. */
static uint64_t wait_for(enum rules_action_type type)
{
	uint64_t start = world.ms;
	do {
		world_pass(&world, 1000);
		cr_assert(lt(u64, world.ms - start, 3600000));
	} while (world_count(&world, type) == 0);
	return world.ms - start;
}

Test(rules_worker, is_pinged_and_stays_up_while_it_answers)
{
	world_up(&world, PROTOCOL_HTTP);
	for (int i = 0; i < 100; i++) {
		cr_assert(eq(u64, wait_for(ACTION_SEND), WORKER_PING_EVERY_MS));
		cr_assert(world_sent(&world, MESSAGE_PING) != NULL);
		world_says(
			&world, (struct message){.type = MESSAGE_PONG, .pong = {.link = LINK_UP}});
		cr_assert(eq(int, (int)world.rules.worker.state, WORKER_UP));
	}
}

Test(rules_worker, a_silent_one_is_degraded_then_killed_then_replaced)
{
	world_up(&world, PROTOCOL_HTTP);
	uint64_t start = world.ms;
	while (world.rules.worker.state == WORKER_UP)
		world_pass(&world, 100);
	cr_assert(eq(u64, world.ms - start, WORKER_DEGRADED_MS));
	wait_for(ACTION_WORKER_KILL);
	cr_assert(eq(u64, world.ms - start, WORKER_HUNG_MS));
	/* Nothing is started before the old one is seen to be gone. */
	world_pass(&world, 600000);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 0));
	world_worker_exits(&world);
	uint64_t pause = wait_for(ACTION_WORKER_START);
	cr_assert(pause >= 800 && pause <= 1200);
}

Test(rules_worker, one_that_is_never_ready_is_killed)
{
	world_start(&world, PROTOCOL_HTTP);
	cr_assert(eq(u64, wait_for(ACTION_WORKER_KILL), WORKER_HUNG_MS));
}

Test(rules_worker, dies_again_and_again_then_safe_mode_for_as_long_as_it_takes)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, true);
	uint64_t expected = WORKER_BACKOFF_MIN_MS;
	for (int i = 1; i < WORKER_DEATHS_MAX; i++) {
		world_worker_exits(&world);
		uint64_t pause = wait_for(ACTION_WORKER_START);
		cr_assert(pause >= expected * 8 / 10 && pause <= expected * 12 / 10 + 1);
		expected *= 2;
	}
	for (int i = 0; i < 20; i++) {
		world_worker_exits(&world);
		cr_assert(world.rules.worker.is_safe_mode);
		uint64_t pause = wait_for(ACTION_WORKER_START);
		cr_assert(pause >= WORKER_SAFE_MODE_MS * 8 / 10);
		cr_assert(pause <= WORKER_SAFE_MODE_MS * 12 / 10 + 1);
	}
	/* A worker that lives on makes it forgotten. */
	world_ready(&world);
	for (uint64_t start = world.ms; world.ms - start < WORKER_HEALTHY_MS + 20000;) {
		wait_for(ACTION_SEND);
		world_says(&world, (struct message){.type = MESSAGE_PONG});
	}
	cr_assert(not(world.rules.worker.is_safe_mode));
	world_worker_exits(&world);
	cr_assert(lt(u64, wait_for(ACTION_WORKER_START), 1300));
}

Test(rules_worker, a_message_before_ready_or_in_the_wrong_direction_costs_its_life)
{
	world_start(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_PONG});
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 1));
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world, (struct message){.type = MESSAGE_STOP});
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 1));
	/* What it says afterwards is not heard. */
	world_says(
		&world, (struct message){.type = MESSAGE_RUN, .run = {.command = text_of("pull")}});
	cr_assert(eq(u32, world.actions.count, 0));
}

Test(rules_worker, frames_of_an_older_epoch_are_dropped)
{
	world_up(&world, PROTOCOL_HTTP);
	struct message pull = {.type = MESSAGE_RUN, .run = {.command = text_of("pull")}};
	struct rules_event event = world_event(&world, EVENT_WORKER_SAID);
	event.worker_said.epoch = world.rules.worker.epoch - 1;
	event.worker_said.message = &pull;
	world_step(&world, event);
	cr_assert(eq(u32, world.actions.count, 0));
}

Test(rules_worker, our_own_absence_is_not_its_silence)
{
	world_up(&world, PROTOCOL_HTTP);
	world.ms += 90000;
	world_step(&world, world_event(&world, EVENT_AWAY));
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 0));
	cr_assert(world_sent(&world, MESSAGE_PING) != NULL);
}

Test(rules_worker, a_stop_is_asked_for_then_enforced)
{
	world_up(&world, PROTOCOL_HTTP);
	world_step(&world, world_event(&world, EVENT_STOP));
	cr_assert(world_sent(&world, MESSAGE_STOP) != NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	cr_assert(eq(u64, wait_for(ACTION_WORKER_KILL), WORKER_STOP_MS));
	world_worker_exits(&world);
	cr_assert(world_stored(&world, ACT_FLIGHT) != NULL);
	world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
	cr_assert(eq(int, world.actions.list[0].exit.code, 0));
	world_pass(&world, 600000);
	cr_assert(eq(u32, world.actions.count, 0));
}

Test(rules_worker, out_of_touch_though_a_probe_succeeds_it_is_replaced_once_in_half_an_hour)
{
	uint32_t kills = 0;
	world_up(&world, PROTOCOL_HTTP);
	for (uint64_t start = world.ms; world.ms - start < 50 * 60000;) {
		world_pass(&world, 1000);
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world,
				(struct message){.type = MESSAGE_PONG,
					.pong = {.link = LINK_WAITING, .contact_ms = UINT64_MAX}});
		if (world_count(&world, ACTION_PROBE))
			world_probed(&world, true);
		if (world_count(&world, ACTION_WORKER_KILL)) {
			kills++;
			world_worker_exits(&world);
		}
		if (world_count(&world, ACTION_WORKER_START))
			world_ready(&world);
	}
	cr_assert(eq(u32, kills, 2));
}

Test(rules_worker, s13_silence_while_nobody_was_scheduled_is_not_the_workers)
{
	world_up(&world, PROTOCOL_HTTP);
	world_pass(&world, 1000);
	world.ms += WORKER_SILENT_LINK_MS + 60000;
	world_step(&world, world_event(&world, EVENT_AWAY));
	world_step(&world, world_event(&world, EVENT_DUE));
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 0));
	/* Its link was cut meanwhile: it gets the time to make it anew before that is held against
	 * it. */
	world_says(&world, (struct message){.type = MESSAGE_PONG,
				   .pong = {.link = LINK_WAITING,
					   .retry_ms = UINT64_MAX,
					   .contact_ms = WORKER_SILENT_LINK_MS + 60000}});
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
	cr_assert(eq(int, (int)world.rules.worker.state, WORKER_UP));
}

Test(rules_worker, one_that_waits_for_its_start_is_not_started_for_a_standalone_host)
{
	world_up(&world, PROTOCOL_HTTP);
	world_worker_exits(&world);
	cr_assert(eq(int, (int)world.rules.worker.state, WORKER_WAITING));
	struct rules_event event = world_event(&world, EVENT_RELOADED);
	event.reloaded.is_restart = true;
	event.reloaded.protocol = PROTOCOL_NONE;
	world_step(&world, event);
	world_pass(&world, 1000);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 0));
	cr_assert(eq(int, (int)world.rules.worker.state, WORKER_NONE));
	/* With a dashboard again there is one again. */
	event = world_event(&world, EVENT_RELOADED);
	event.reloaded.is_restart = true;
	event.reloaded.protocol = PROTOCOL_HTTP;
	world_step(&world, event);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 1));
}

Test(rules_worker, another_configuration_during_its_start_is_no_death)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, true);
	for (int i = 0; i < 2 * WORKER_DEATHS_MAX; i++) {
		struct rules_event event = world_event(&world, EVENT_RELOADED);
		event.reloaded.is_restart = true;
		event.reloaded.protocol = PROTOCOL_HTTP;
		world_step(&world, event);
		cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 1));
		world_worker_exits(&world);
		cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 1));
	}
	cr_assert(not(world.rules.worker.is_safe_mode));
}

Test(rules_worker, none_is_started_while_the_agent_stops)
{
	world_start(&world, PROTOCOL_NONE);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_client_asks(&world, "pull");
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL); /* the stop waits for the disk */
	world_step(&world, world_event(&world, EVENT_STOP));
	struct rules_event event = world_event(&world, EVENT_RELOADED);
	event.reloaded.is_restart = true;
	event.reloaded.protocol = PROTOCOL_HTTP;
	world_step(&world, event);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 0));
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
}

Test(rules_worker, the_doubt_about_one_does_not_cost_the_next_its_life)
{
	world_up(&world, PROTOCOL_HTTP);
	while (world_count(&world, ACTION_PROBE) == 0) {
		world_pass(&world, 1000);
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world,
				(struct message){.type = MESSAGE_PONG,
					.pong = {.link = LINK_WAITING, .contact_ms = UINT64_MAX}});
	}
	world_worker_exits(&world);
	wait_for(ACTION_WORKER_START);
	world_ready(&world);
	world_probed(&world, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 0));
	cr_assert(eq(int, (int)world.rules.worker.state, WORKER_UP));
}
