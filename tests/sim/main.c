/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nixfleet-sim [--seeds N] [--from S] | --seed S [--trace] | --scenario NAME
 * [--protocol http|websocket]
 *
 * Runs so many seeds: an hour of faults each, then calm, at the end of which nothing may be owed.
 * A failure names the seed and prints the run's lines.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/terms.h"
#include "tests/sim/scenario.h"
#include "tests/sim/sim.h"

#define FAULTS_NS (3600 * NS_PER_S)
#define CALM_NS   (8 * 3600 * NS_PER_S)

/* What the signal handler needs to run a failed seed once more, with its lines. */
static char failed_seed[32], failed_protocol[12];
static bool is_replay;

/* PROTOCOL_NONE: each seed chooses. */
static enum protocol forced;

static void on_abort(int number)
{
	static const char said[] = "the run's lines:\n";
	(void)number;
	if (is_replay && sim_tail)
		sim_print_tail();
	if (is_replay)
		_exit(1);
	(void)!write(STDERR_FILENO, said, sizeof(said) - 1);
	execl("/proc/self/exe", "nixfleet-sim", "--seed", failed_seed, "--trace", "--tail",
		"--protocol", failed_protocol, (char *)NULL);
	_exit(1);
}

static uint32_t choose(struct sim *sim, uint32_t most)
{
	return sim_random(sim, 3) == 0 ? 0 : (uint32_t)sim_random(sim, most);
}

static void run_seed(uint64_t seed, bool is_tracing, struct sim_counts *sum, uint64_t *ns)
{
	static struct sim sim;
	struct disk used = sim.disk;
	memset(&sim, 0, sizeof(sim));
	sim.disk = used;
	sim.disk.count = 0;
	snprintf(failed_seed, sizeof(failed_seed), "%" PRIu64, seed);
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15);
	sim.is_tracing = is_tracing;
	sim.is_websocket = sim_random(&sim, 2) == 0;
	if (forced != PROTOCOL_NONE)
		sim.is_websocket = forced == PROTOCOL_WEBSOCKET;
	snprintf(failed_protocol, sizeof(failed_protocol), "%s",
		protocol_name(sim.is_websocket ? PROTOCOL_WEBSOCKET : PROTOCOL_HTTP));
	sim.interval_ms = 2000 + sim_random(&sim, 60000);
	sim.spread_ms = sim_random(&sim, 5000);
	sim.faults = (struct sim_faults){.disk = choose(&sim, 100),
		.hang = choose(&sim, 20),
		.network = choose(&sim, 150),
		.crash = choose(&sim, 4),
		.poison = choose(&sim, 100),
		.runner = choose(&sim, 500)};
	host_create(&sim);
	dashboard_begin(&sim);
	host_begin_faults(&sim);
	sim_run(&sim, FAULTS_NS, NULL);
	sim_trace(&sim, "calm");
	sim.is_calm = true;
	bool is_quiet = sim_run(&sim, FAULTS_NS + CALM_NS, host_is_quiet);
	if (is_quiet) { /* and stays so for two heartbeats */
		sim_run(&sim, sim.now + 2 * sim.interval_ms * NS_PER_MS, NULL);
		is_quiet = sim_run(&sim, sim.now + FAULTS_NS, host_is_quiet);
	}
	sim_check(&sim, is_quiet,
		"not quiet in the end: %u owed, %u queued, busy %d, worker %d, dashboard %d",
		supervisor_owed(&sim), supervisor_queued(&sim), supervisor_is_busy(&sim),
		worker_process_is_content(&sim), dashboard_is_quiet(&sim));
	host_check_end(&sim);
	*ns += sim.now;
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)&sim.counts;
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
	host_destroy(&sim);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_seeds(uint64_t from, uint64_t count)
{
	struct sim_counts sum = {0};
	uint64_t ns = 0;
	double begin = seconds();
	for (uint64_t i = 0; i < count; i++)
		run_seed(from + i, false, &sum, &ns);
	double took = seconds() - begin, hours = (double)ns / 3.6e12;
	printf("# %" PRIu64 " seeds, %.0f host-hours in %.1f s: %.0f host-hours a second\n", count,
		hours, took, hours / took);
	printf("# %" PRIu64 " steps, %" PRIu64 " commands, %" PRIu64 " accepted, %" PRIu64
	       " ran, %" PRIu64 " told, %" PRIu64 " of them again\n",
		sum.steps, sum.commands, sum.accepted, sum.executed, sum.delivered, sum.doubled);
	printf("# %" PRIu64 " crashes, %" PRIu64 " power cuts, %" PRIu64 " freezes, %" PRIu64
	       " clock jumps, %" PRIu64 " deaths by poison\n",
		sum.crashes, sum.powers, sum.freezes, sum.jumps, sum.poison_deaths);
	return 0;
}

static int usage(void)
{
	fputs("usage: nixfleet-sim [--seeds N] [--from S] | --seed S [--trace] | --scenario NAME\n"
	      "       [--protocol http|websocket]\n",
		stderr);
	return 64;
}

int main(int argc, char **argv)
{
	uint64_t seeds = 1000, from = 1;
	const char *scenario = NULL;
	bool is_tracing = false, is_one = false;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (strcmp(argv[i], "--tail") == 0) {
			sim_tail = true;
			continue;
		}
		if (strcmp(argv[i], "--trace") == 0) {
			is_tracing = true;
			continue;
		}
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--from") == 0)
			from = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && (is_one = true))
			from = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--scenario") == 0)
			scenario = value;
		else if (strcmp(argv[i], "--protocol") == 0 && strcmp(value, "http") == 0)
			forced = PROTOCOL_HTTP;
		else if (strcmp(argv[i], "--protocol") == 0 && strcmp(value, "websocket") == 0)
			forced = PROTOCOL_WEBSOCKET;
		else
			return usage();
		i++;
	}
	is_replay = is_one || scenario;
	signal(SIGABRT, on_abort);
	if (scenario)
		return scenario_run(scenario, is_tracing);
	if (is_one) {
		struct sim_counts sum = {0};
		uint64_t ns = 0;
		run_seed(from, is_tracing, &sum, &ns);
		return 0;
	}
	return run_seeds(from, seeds);
}
