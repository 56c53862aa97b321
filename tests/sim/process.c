/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/process.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

/* Beyond its limits and the time in which the supervisor can act, no runner lives. */
#define BEYOND_LIMITS_MS 600000

static void on_step(struct sim *sim, struct sim_timer *timer)
{
	struct process *process = &sim->processes->list[timer->a];
	if (process->kind == PROCESS_NONE || process->turn != timer->b)
		return;
	if (sim->disk_hangs_until > sim->now && !process->is_running) {
		sim_after(sim, sim->disk_hangs_until - sim->now, *timer);
		return;
	}
	if (process->is_killed || (process->kind == PROCESS_RUNNER && sim_chance(sim, 2))) {
		if (process->kind == PROCESS_RUNNER)
			process->file->truth.was_killed = true;
		process_end(sim, process);
		return;
	}
	if (process->kind == PROCESS_STORE)
		store_step(sim, process);
	else
		runner_step(sim, process);
}

struct sim_processes *processes_create(void)
{
	struct sim_processes *processes = calloc(1, sizeof(*processes));
	check(processes != NULL);
	processes->last_id = 2000;
	return processes;
}

struct process *process_add(struct sim *sim, enum process_kind kind)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind != PROCESS_NONE)
			continue;
		memset(process, 0, sizeof(*process));
		process->kind = kind;
		process->id = ++sim->processes->last_id;
		process->incarnation = supervisor_incarnation(sim);
		process->started = sim->now;
		return process;
	}
	sim_fail(sim, "too many processes");
}

struct process *process_runner(struct sim *sim, uint64_t pid)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind == PROCESS_RUNNER && process->id == pid)
			return process;
	}
	return NULL;
}

void process_next(struct sim *sim, struct process *process, uint64_t ns)
{
	uint64_t slow = sim_chance(sim, sim->faults.hang) ? sim_random(sim, 120 * NS_PER_S) : 0;
	sim_after(sim, ns + (process->is_running ? 0 : slow),
		(struct sim_timer){.fire = on_step,
			.a = (uint64_t)(process - sim->processes->list),
			.b = process->turn = ++sim->processes->last_turn});
}

void process_end(struct sim *sim, struct process *process)
{
	if (process->file && process->file->lock == process->id)
		process->file->lock = 0;
	if (process->kind == PROCESS_RUNNER)
		runner_ended(sim, process);
	else
		supervisor_store_ended(sim, process);
	process->kind = PROCESS_NONE;
}

void process_kill(struct sim *sim, uint32_t id)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind == PROCESS_NONE || process->id != id)
			continue;
		if (process->kind == PROCESS_RUNNER)
			process->file->truth.was_killed = true;
		/* A process in a disk that hangs dies when the disk lets it. */
		if (sim->disk_hangs_until > sim->now && !process->is_running)
			process->is_killed = true;
		else
			process_end(sim, process);
		return;
	}
}

bool process_disk_works(struct sim *sim)
{
	return !sim_chance(sim, sim->faults.disk);
}

void processes_end(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind == PROCESS_RUNNER && process->file) {
			struct truth *truth = &process->file->truth;
			truth->was_killed = true;
			if (process->is_running && truth->ended_at == 0)
				truth->output_until = truth->ended_at = sim->now;
		}
		process->kind = PROCESS_NONE;
	}
	sim->turn = 0;
}

bool processes_are_gone(const struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		if (sim->processes->list[i].kind != PROCESS_NONE)
			return false;
	}
	return true;
}

void processes_check(struct sim *sim)
{
	uint64_t ready = supervisor_ready_ms(sim);
	uint32_t running = 0;
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		const struct process *process = &sim->processes->list[i];
		if (process->kind != PROCESS_RUNNER || process->is_staying)
			continue;
		running += process->is_running && !process->is_ending;
		uint64_t limit = process->deadline_ms + COMMAND_GRACE_MS + TREE_EMPTY_MS +
				 RUNNER_OVERDUE_MS + BEYOND_LIMITS_MS;
		uint64_t age = (sim->now - process->started) / NS_PER_MS;
		if (strstr(process->record.command, "switch") ||
			strcmp(process->record.command, "update") == 0 ||
			strcmp(process->record.command, "rollback") == 0)
			limit += ACTIVATION_WAIT_MS;
		sim_check(sim, age < limit || ready < limit,
			"the runner of %s (%u, step %u, killed %d) outlives every limit; %u has "
			"the turn",
			process->file->name, process->id, process->step, process->is_killed,
			sim->turn);
	}
	sim_check(sim, running <= 1, "%u commands run at once", running);
}

static struct process *of_run(struct sim *sim, const char *run)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind == PROCESS_RUNNER && process->is_running &&
			(!run || strcmp(process->file->name, run) == 0))
			return process;
	}
	return NULL;
}

void runner_signal(struct sim *sim, const char *run, uint8_t byte)
{
	struct process *process = of_run(sim, run);
	if (!process || process->is_ending || process->script == SCRIPT_STOPS)
		return;
	sim_check(sim, process->file->truth.may_end,
		"%s is ended, and nobody wanted that: another was meant", process->file->name);
	process->is_ending = true;
	process->outcome = OUTCOME_CANCELLED;
	process->code = 0;
	process->file->truth.was_cancelled = true;
	process_next(sim, process, byte == 'k' ? 0 : sim_random(sim, 10 * NS_PER_S));
}

void runner_kill_any(struct sim *sim)
{
	struct process *process = of_run(sim, NULL);
	if (process)
		process_kill(sim, process->id);
}
