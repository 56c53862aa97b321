/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/check.h"
#include "tests/sim/sim.h"

#define HOUR_NS (3600 * NS_PER_S)

/* Row 9: the dashboard is away for a day; what it had handed out ends meanwhile. All is told once,
 * in order, at 20 a minute at most, and what people ran here is not. */
static void away_for_a_day(struct sim *sim)
{
	sim->interval_ms = 30000;
	host_create(sim);
	sim_run(sim, 10 * NS_PER_S, NULL);
	for (int i = 0; i < 6; i++) {
		dashboard_queue(sim, i % 2 ? "pull" : "test");
		sim_run(sim, sim->now + 60 * NS_PER_S, NULL);
	}
	sim->is_network_down = true;
	for (int hour = 0; hour < 24; hour++) {
		supervisor_ask_local(sim, "pull");
		sim_run(sim, sim->now + HOUR_NS, NULL);
	}
	uint64_t before = sim->counts.delivered;
	sim->is_network_down = false;
	sim->is_calm = true;
	sim_check(sim, sim_run(sim, sim->now + HOUR_NS, host_is_quiet), "not quiet in the end");
	host_check_end(sim);
	sim_check(sim, sim->counts.delivered <= 6 && sim->counts.delivered >= before,
		"%u outcomes for 6 commands", (unsigned)sim->counts.delivered);
	sim_check(sim, sim->counts.doubled == 0, "told twice");
	sim_check(sim, sim->counts.fast_reports == 0, "more than 20 reports a minute");
	sim_check(sim, dashboard_is_in_order(sim), "not in order");
}

/* The same over a WebSocket. One command at a time there, so most of what is owed was refused: the
 * way to the dashboard fails while its own words still arrive. What is asked for behind four that
 * were refused is so without a record: nothing is owed for it. */
static void away_for_a_day_websocket(struct sim *sim)
{
	sim->is_websocket = true;
	sim->interval_ms = 30000;
	host_create(sim);
	sim_run(sim, 10 * NS_PER_S, NULL);
	wire_cut_out(sim);
	sim_check(sim, session_press(sim, "switch", false), "nobody hears");
	sim_run(sim, sim->now + NS_PER_S, NULL);
	for (int i = 0; i < 24; i++) {
		sim_check(sim, session_press(sim, "dance", false), "nobody hears");
		sim_run(sim, sim->now + NS_PER_S, NULL);
	}
	sim->is_network_down = true;
	wire_network_gone(sim);
	sim_run(sim, sim->now + HOUR_NS, NULL);
	for (int hour = 0; hour < 23; hour++) {
		supervisor_ask_local(sim, "pull");
		sim_run(sim, sim->now + HOUR_NS, NULL);
	}
	sim_check(sim, sim->counts.delivered == 0, "told over no connection");
	sim->is_network_down = false;
	sim->is_calm = true;
	sim_check(sim, sim_run(sim, sim->now + HOUR_NS, host_is_quiet), "not quiet in the end");
	host_check_end(sim);
	sim_check(sim, sim->counts.delivered == 5 && sim->counts.doubled == 0,
		"%u outcomes, %u of them twice, for 5 commands", (unsigned)sim->counts.delivered,
		(unsigned)sim->counts.doubled);
	sim_check(sim, sim->counts.fast_reports == 0, "more than 20 reports a minute");
	sim_check(sim, dashboard_is_in_order(sim), "not in order");
}

/* Row 23: the power is cut again and again while commands run. */
static void power_cuts(struct sim *sim)
{
	sim->interval_ms = 5000;
	host_create(sim);
	dashboard_begin(sim);
	for (int i = 0; i < 40; i++) {
		sim_run(sim, sim->now + 25 * NS_PER_S + sim_random(sim, 120 * NS_PER_S), NULL);
		host_power_cut(sim);
	}
	sim->is_calm = true;
	sim_check(sim, sim_run(sim, sim->now + 4 * HOUR_NS, host_is_quiet), "not quiet in the end");
	host_check_end(sim);
	sim_check(sim, sim->counts.powers == 40, "%u cuts", (unsigned)sim->counts.powers);
}

/* Row 13: the time of day jumps by ten years, and nobody is scheduled for ten minutes, while a
 * command runs. Nothing is killed and no timer is stuck. */
static void clocks(struct sim *sim)
{
	static const int64_t years = 10ll * 365 * 24 * 3600 * (int64_t)NS_PER_S;
	sim->interval_ms = 5000;
	host_create(sim);
	sim_run(sim, 10 * NS_PER_S, NULL);
	for (int i = 0; i < 6; i++) {
		dashboard_queue(sim, "switch");
		sim_run(sim, sim->now + 8 * NS_PER_S, NULL);
		sim->wall_offset = i % 2 ? -years : years;
		if (i >= 3)
			sim->frozen_supervisor = sim->frozen_worker = sim->now + 600 * NS_PER_S;
		uint64_t thaw = sim->now + (i >= 3 ? 600 * NS_PER_S : 0);
		uint64_t seen = dashboard_registrations(sim);
		sim_run(sim, thaw + 7 * NS_PER_S, NULL);
		sim_check(sim, dashboard_registrations(sim) > seen, "a timer is stuck");
		sim_check(sim, sim_run(sim, sim->now + HOUR_NS, host_is_quiet), "not quiet");
	}
	sim_check(sim, sim->counts.worker_kills == 0, "a worker was killed for nothing");
	sim_check(sim, sim->counts.delivered == 6 && sim->counts.doubled == 0, "%u told",
		(unsigned)sim->counts.delivered);
	host_check_end(sim);
}

static const struct {
	const char *name;
	void (*run)(struct sim *sim);
} scenarios[] = {
	{"s09_a_day_away", away_for_a_day},
	{"s09_a_day_away_websocket", away_for_a_day_websocket},
	{"s13_clocks_and_freezes", clocks},
	{"s23_power_cuts", power_cuts},
};

#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

static void run(size_t index, bool is_tracing)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	check(sim != NULL);
	sim->seed = sim->random = 7;
	sim->is_tracing = is_tracing;
	scenarios[index].run(sim);
	host_destroy(sim);
	disk_finish(&sim->disk);
	free(sim);
}

/* How fast it is: a host without faults, two commands an hour, for ten days. */
static void measure(bool is_websocket)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	check(sim != NULL);
	sim->seed = sim->random = 7;
	sim->interval_ms = 30000;
	sim->is_websocket = is_websocket;
	clock_t begin = clock();
	host_create(sim);
	for (int half = 0; half < 2 * 240; half++) {
		if (half < 2 * 100 && is_websocket) /* the disk has room for so many records */
			session_press(sim, "pull", false);
		else if (half < 2 * 100)
			dashboard_queue(sim, "pull");
		sim_run(sim, sim->now + HOUR_NS / 2, NULL);
	}
	double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
	printf("# a quiet host over %s: %.0f host-hours a second, %.0f steps an hour\n",
		is_websocket ? "a WebSocket" : "HTTP", 240 / took, (double)sim->counts.steps / 240);
	host_destroy(sim);
	disk_finish(&sim->disk);
	free(sim);
}

static const struct {
	const char *name;
	bool is_websocket;
} fleets[] = {
	{"s12_a_fleet_comes_back", false},
	{"s12_a_fleet_comes_back_websocket", true},
};

#define FLEET_COUNT (sizeof(fleets) / sizeof(fleets[0]))

static bool come_back(size_t index)
{
	uint32_t peak = fleet_comes_back(10000, 60000, fleets[index].is_websocket);
	bool is_good = peak > 0 && peak <= 2 * 10000 / 60;
	printf("# 10,000 hosts over 60 s: at most %u arrivals a second, even are %u\n", peak,
		10000u / 60);
	printf("%sok %zu - %s\n", is_good ? "" : "not ", SCENARIO_COUNT + index + 1,
		fleets[index].name);
	return is_good;
}

int scenario_run(const char *name, bool is_tracing)
{
	bool is_all = strcmp(name, "all") == 0;
	bool found = false, is_good = true;
	if (is_all)
		printf("1..%zu\n", SCENARIO_COUNT + FLEET_COUNT);
	for (size_t i = 0; i < SCENARIO_COUNT; i++) {
		if (!is_all && strcmp(name, scenarios[i].name) != 0)
			continue;
		run(i, is_tracing);
		printf("ok %zu - %s\n", i + 1, scenarios[i].name);
		fflush(stdout);
		found = true;
	}
	if (is_all) {
		measure(false);
		measure(true);
	}
	for (size_t i = 0; i < FLEET_COUNT; i++) {
		if (!is_all && strcmp(name, fleets[i].name) != 0)
			continue;
		is_good &= come_back(i);
		found = true;
	}
	return found ? !is_good : 64;
}
