/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/check.h"

/* splitmix64 */
uint64_t sim_random(struct sim *sim, uint64_t bound)
{
	check(bound > 0);
	sim->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t value = sim->random;
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (value ^ (value >> 31)) % bound;
}

bool sim_chance(struct sim *sim, uint32_t thousandths)
{
	return !sim->is_calm && thousandths > 0 && sim_random(sim, 1000) < thousandths;
}

void sim_after(struct sim *sim, uint64_t ns, struct sim_timer timer)
{
	sim_check(sim, sim->timer_count < SIM_TIMERS_MAX, "too many timers");
	timer.at = sim->now + ns;
	timer.order = ++sim->order;
	sim->timers[sim->timer_count++] = timer;
}

void sim_forget(struct sim *sim, void (*fire)(struct sim *sim, struct sim_timer *timer))
{
	for (uint32_t i = sim->timer_count; i > 0; i--) {
		if (sim->timers[i - 1].fire == fire)
			sim->timers[i - 1] = sim->timers[--sim->timer_count];
	}
}

/* The machine has been up for a second when its first process starts. */
struct mono sim_mono(const struct sim *sim)
{
	return (struct mono){sim->now - sim->boot_at + NS_PER_S};
}

struct wall sim_wall(const struct sim *sim)
{
	return (struct wall){(int64_t)sim->now + sim->wall_offset};
}

uint64_t sim_world_time(const struct sim *sim, struct mono due)
{
	if (due.ns == MONO_NEVER.ns)
		return UINT64_MAX;
	uint64_t at = due.ns + sim->boot_at;
	return at > NS_PER_S ? at - NS_PER_S : 0;
}

#define TAIL_LINES 200
#define LINE_BYTES 400

bool sim_tail;
static char tail[TAIL_LINES][LINE_BYTES];
static uint64_t tail_next;

void sim_print_tail(void)
{
	uint64_t first = tail_next > TAIL_LINES ? tail_next - TAIL_LINES : 0;
	for (uint64_t i = first; i < tail_next; i++)
		fprintf(stderr, "%s\n", tail[i % TAIL_LINES]);
}

void sim_trace(struct sim *sim, const char *format, ...)
{
	va_list args;
	if (!sim->is_tracing)
		return;
	char *line = tail[tail_next++ % TAIL_LINES];
	int at = snprintf(line, LINE_BYTES, "[%10" PRIu64 "] ", sim->now / NS_PER_MS);
	va_start(args, format);
	vsnprintf(line + at, LINE_BYTES - (size_t)at, format, args);
	va_end(args);
	if (!sim_tail)
		puts(line);
}

_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 " at %" PRIu64 " ms: ", sim->seed, sim->now / NS_PER_MS);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* What happens next: a timer, or what one of the cores asked for. */
static uint64_t next_timer(const struct sim *sim, uint32_t *index)
{
	uint64_t at = UINT64_MAX, order = UINT64_MAX;
	for (uint32_t i = 0; i < sim->timer_count; i++) {
		const struct sim_timer *timer = &sim->timers[i];
		if (timer->at > at || (timer->at == at && timer->order > order))
			continue;
		at = timer->at;
		order = timer->order;
		*index = i;
	}
	return at;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void step(struct sim *sim, uint64_t until)
{
	uint32_t index = 0;
	uint64_t timer = next_timer(sim, &index);
	uint64_t supervisor = later(supervisor_next(sim), sim->frozen_supervisor);
	uint64_t worker = later(worker_process_next(sim), sim->frozen_worker);
	uint64_t first = timer < supervisor ? timer : supervisor;
	first = worker < first ? worker : first;
	if (first > until) {
		sim->now = until;
		return;
	}
	sim->now = later(sim->now, first);
	sim->counts.steps++;
	if (first == supervisor) {
		supervisor_due(sim);
	} else if (first == worker) {
		worker_process_due(sim);
	} else {
		struct sim_timer due = sim->timers[index];
		sim->timers[index] = sim->timers[--sim->timer_count];
		due.fire(sim, &due);
	}
}

/* So many things at one moment are a loop. */
#define SAME_MOMENT_MAX 5000

bool sim_run(struct sim *sim, uint64_t until, bool (*holds)(struct sim *sim))
{
	uint64_t moment = sim->now;
	uint32_t same = 0;
	while (sim->now < until) {
		if (holds && holds(sim))
			return true;
		step(sim, until);
		same = sim->now == moment ? same + 1 : 0;
		moment = sim->now;
		sim_check(sim, same < SAME_MOMENT_MAX, "it turns in a circle");
	}
	return holds ? holds(sim) : true;
}
