/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a stop waits for. */
#include "tests/unit/rules_world.h"

#include <errno.h>

static struct world world;

/* Stops at once where nothing holds it: the worker is gone already. */
static void stop_without_worker(void)
{
	world_worker_exits(&world);
	world_done(&world, ACT_FLIGHT, RULES_NO_RUN, 0);
	world_step(&world, world_event(&world, EVENT_STOP));
}

Test(rules_stop, a_stop_waits_for_a_result_that_only_this_process_has)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "pull", 5);
	world_runner_ends(&world, run, 3, false);
	world_runner_exits(&world, run);
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

Test(rules_stop, a_stop_waits_for_a_command_that_the_disk_did_not_take_yet)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_ask(&world, "pull", 5);
	world_done(&world, ACT_ACCEPT, run, EIO);
	stop_without_worker();
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_ACCEPT) != NULL);
	world_done(&world, ACT_ACCEPT, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_RUNNER_START), 0));
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
}

Test(rules_stop, a_stop_waits_for_the_records_that_a_command_waits_for_but_not_for_ever)
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

Test(rules_stop, a_stop_waits_for_a_mark_so_that_nothing_is_told_twice)
{
	world_up(&world, PROTOCOL_HTTP);
	uint32_t run = world_begin(&world, "pull", 5);
	world_runner_ends(&world, run, 0, true);
	world_done(&world, ACT_RETAIN, RULES_NO_RUN, 0);
	world_runner_exits(&world, run);
	world_delivered(&world, run);
	world_done(&world, ACT_MARK, run, EIO);
	stop_without_worker();
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 0));
	world_pass(&world, 0);
	cr_assert(world_stored(&world, ACT_MARK) != NULL);
	world_done(&world, ACT_MARK, run, 0);
	cr_assert(eq(u32, world_count(&world, ACTION_EXIT), 1));
}

Test(rules_stop, a_stop_waits_for_what_is_being_kept)
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
