/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/rules_world.h"

static struct world world;

Test(rules_gate, opens_on_the_first_good_probe_and_tells_a_ready_worker)
{
	world_start(&world, PROTOCOL_HTTP);
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 1));
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 1));
	world_ready(&world);
	cr_assert(world_sent(&world, MESSAGE_OPEN) == NULL);
	world_probed(&world, true);
	cr_assert(world_sent(&world, MESSAGE_OPEN) != NULL);
	cr_assert(eq(int, (int)world.rules.gate.state, GATE_OPEN));
}

Test(rules_gate, a_worker_that_is_ready_later_is_told_then)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, true);
	cr_assert(world_sent(&world, MESSAGE_OPEN) == NULL);
	world_ready(&world);
	cr_assert(world_sent(&world, MESSAGE_OPEN) != NULL);
}

Test(rules_gate, probes_every_two_seconds_and_opens_anyway_after_sixty)
{
	uint32_t probes = 1;
	world_start(&world, PROTOCOL_HTTP);
	world_ready(&world);
	while (world.rules.gate.state == GATE_SHUT) {
		if (world.rules.gate.is_probing)
			world_probed(&world, false);
		world_pass(&world, 100);
		probes += world_count(&world, ACTION_PROBE);
		cr_assert(lt(u64, world.ms, 70000));
		if (world.rules.worker.state == WORKER_UP && world.actions.count > 0)
			world_says(&world, (struct message){.type = MESSAGE_PONG});
	}
	cr_assert(eq(int, (int)world.rules.gate.state, GATE_FORCED));
	cr_assert(eq(u64, world.ms, 1000 + GATE_OPEN_ANYWAY_MS));
	cr_assert(eq(u32, probes, GATE_OPEN_ANYWAY_MS / GATE_PROBE_EVERY_MS));
}

Test(rules_gate, a_route_change_probes_at_once)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, false);
	world_pass(&world, 100);
	world_step(&world, world_event(&world, EVENT_NETWORK));
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 1));
	/* Another one while a probe is under way is not lost: that probe may be too early. */
	world_step(&world, world_event(&world, EVENT_NETWORK));
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
	world_probed(&world, false);
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 1));
}

Test(rules_gate, there_is_none_for_a_standalone_host)
{
	world_start(&world, PROTOCOL_NONE);
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_START), 0));
	cr_assert(eq(int, (int)world.rules.gate.state, GATE_NONE));
}

Test(rules_gate, an_open_one_passes_route_changes_on)
{
	world_up(&world, PROTOCOL_HTTP);
	world_step(&world, world_event(&world, EVENT_NETWORK));
	cr_assert(world_sent(&world, MESSAGE_NETWORK) != NULL);
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
}

Test(rules_gate, a_probe_that_it_did_not_wait_for_costs_no_worker_its_life)
{
	world_start(&world, PROTOCOL_HTTP);
	world_ready(&world);
	/* The way is there just as the time is up. */
	while (world.rules.gate.state == GATE_SHUT) {
		bool is_asked = world_count(&world, ACTION_PROBE) > 0;
		if (is_asked && world.ms < 50000)
			world_probed(&world, false);
		world_pass(&world, 1000);
		if (world_sent(&world, MESSAGE_PING))
			world_says(&world, (struct message){.type = MESSAGE_PONG});
	}
	cr_assert(world.rules.gate.is_probing);
	world_probed(&world, true);
	cr_assert(eq(u32, world_count(&world, ACTION_WORKER_KILL), 0));
	cr_assert(eq(int, (int)world.rules.worker.state, WORKER_UP));
}

Test(rules_gate, a_shut_one_says_why)
{
	world_start(&world, PROTOCOL_HTTP);
	cr_assert(eq(str, world.rules.gate.reason, "the first probe is under way"));
	struct rules_event event = world_event(&world, EVENT_PROBED);
	event.probed.reason = text_of("no route to host");
	world_step(&world, event);
	cr_assert(eq(str, world.rules.gate.reason, "no route to host"));
}

Test(rules_gate, a_host_that_has_no_dashboard_any_more_waits_for_no_network)
{
	world_start(&world, PROTOCOL_HTTP);
	world_probed(&world, false);
	struct rules_event event = world_event(&world, EVENT_RELOADED);
	event.reloaded.is_restart = event.reloaded.is_other_dashboard = true;
	event.reloaded.protocol = PROTOCOL_NONE;
	world_step(&world, event);
	cr_assert(eq(int, (int)world.rules.gate.state, GATE_NONE));
	world_worker_exits(&world);
	world_pass(&world, 2 * GATE_OPEN_ANYWAY_MS);
	cr_assert(eq(u32, world_count(&world, ACTION_PROBE), 0));
}
