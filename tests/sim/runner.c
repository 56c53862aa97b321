/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A runner, in the order of supervisor/runner/journal.c: lock, read, started and fsync, run, result
 * and fsync, report, exit. */
#include "tests/sim/process.h"

#include <stdio.h>
#include <string.h>

#define SHORT_NS    (5 * NS_PER_S)
#define STAY_NS     (600 * NS_PER_S)
#define START_TRIES 3
#define FLOOD_BYTES (700 * 1024)
/* A kill reaches a command so soon where nothing is in its way. */
#define KILL_REACHES_NS (30 * NS_PER_S)

enum runner_step {
	RUNNER_OPENS,
	RUNNER_WRITES_START,
	RUNNER_RUNS,
	RUNNER_ENDS, /* the command ended or was ended */
	RUNNER_WRITES_RESULT,
	RUNNER_EXITS,
};

static enum script choose_script(struct sim *sim)
{
	if (!sim_chance(sim, sim->faults.runner))
		return SCRIPT_ENDS;
	return (enum script)sim_random(sim, 5);
}

static void check_place(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		const struct process *other = &sim->processes->list[i];
		sim_check(sim, other->kind != PROCESS_RUNNER || !other->is_staying,
			"a command begins while what %s left lives", other->file->name);
	}
}

void runner_start(
	struct sim *sim, const struct rules_run *run, uint32_t index, uint64_t deadline_ms)
{
	struct process *process = process_add(sim, PROCESS_RUNNER);
	struct rules_event event = {.type = EVENT_RUNNER_STARTED,
		.runner_started = {index, (pid_t)process->id, deadline_ms}};
	process->run = index;
	process->file = disk_find(&sim->disk, run->name);
	sim_check(sim, process->file != NULL, "%s was never accepted", run->name);
	process->deadline_ms = deadline_ms;
	process->script = choose_script(sim);
	supervisor_post(sim, process->incarnation, &event, NULL);
	process_next(sim, process, NS_PER_MS + sim_random(sim, 5 * NS_PER_MS));
}

static void report(struct sim *sim, const struct process *process, struct rules_event event)
{
	supervisor_post(sim, process->incarnation, &event, NULL);
}

void runner_ended(struct sim *sim, struct process *process)
{
	struct truth *truth = &process->file->truth;
	if (process->is_running && truth->ended_at == 0)
		truth->output_until = truth->ended_at = sim->now;
	if (sim->turn == process->id)
		sim->turn = 0;
	struct rules_event event = {
		.type = EVENT_RUNNER_EXITED, .runner_exited = {process->run, TEXT_NONE}};
	supervisor_post(sim, process->incarnation, &event, NULL);
	if (process->watch_incarnation) {
		event.runner_exited.run = process->watch_run;
		supervisor_post(sim, process->watch_incarnation, &event, NULL);
	}
}

static void open_record(struct sim *sim, struct process *process)
{
	/* The turn: the folder's lock. */
	if (sim->turn != 0 && sim->turn != process->id) {
		process->record = *disk_read(process->file);
		if (process->record.state == RECORD_WAITING)
			process_next(sim, process, 20 * NS_PER_MS);
		else
			process_end(sim, process);
		return;
	}
	sim->turn = process->id;
	if (process->file->lock != 0 || !process->file->is_there) {
		process_end(sim, process);
		return;
	}
	process->file->lock = process->id;
	process->record = *disk_read(process->file);
	/* A runner of an agent before, which waited for this, may have been quicker. */
	if (process->record.state != RECORD_WAITING) {
		process_end(sim, process);
		return;
	}
	/* Its agent is gone: the next one starts it. */
	if (process->incarnation != supervisor_incarnation(sim) || !supervisor_is_up(sim)) {
		process_end(sim, process);
		return;
	}
	check_place(sim);
	process->step = RUNNER_WRITES_START;
	process_next(sim, process, sim_random(sim, NS_PER_MS));
}

static void refuse(struct sim *sim, struct process *process)
{
	report(sim, process,
		(struct rules_event){.type = EVENT_RUNNER_REPORTED_RESULT,
			.result = {.run = process->run,
				.outcome = OUTCOME_REFUSED,
				.reason = text_of("its start could not be written"),
				.summary = TEXT_NONE}});
	/* It counts when it is stored; until then another may start it. */
	process->file->truth.was_killed = true;
	process_end(sim, process);
}

static bool write_durably(struct sim *sim, struct process *process, const struct record *before,
	const struct record_frame *frame)
{
	process->record = *before;
	if (!process_disk_works(sim) || !disk_append(process->file, &process->record, frame))
		return false;
	bool is_good = process_disk_works(sim);
	disk_sync(process->file, is_good);
	return is_good;
}

static void write_start(struct sim *sim, struct process *process)
{
	char boot[32];
	struct record before = process->record;
	snprintf(boot, sizeof(boot), "boot-%u", (unsigned)sim->boot);
	struct record_frame frame = {.type = RECORD_STARTED,
		.started = {.pid = process->id,
			.start_ticks = process->id * 7,
			.boot = text_of(boot),
			.cgroup = TEXT_NONE,
			.wall_ms = wall_ms(sim_wall(sim)),
			.mono_ms = sim_mono(sim).ns / NS_PER_MS,
			.deadline_ms = process->deadline_ms}};
	if (!write_durably(sim, process, &before, &frame)) {
		process->record = before;
		if (++process->tries == START_TRIES)
			refuse(sim, process);
		else
			process_next(sim, process, NS_PER_S);
		return;
	}
	process->step = RUNNER_RUNS;
	process_next(sim, process, 0);
}

static void run(struct sim *sim, struct process *process)
{
	struct truth *truth = &process->file->truth;
	static const uint64_t grace = COMMAND_GRACE_MS * NS_PER_MS;
	uint64_t deadline = process->deadline_ms * NS_PER_MS;
	sim_check(sim, truth->executions == 0, "%s runs twice", process->file->name);
	sim_check(sim, !truth->is_refused, "%s was refused and runs", process->file->name);
	sim_check(sim, supervisor_sees(sim, process), "%s begins and nobody sees it",
		process->file->name);
	truth->executions++;
	sim->counts.executed++;
	process->is_running = true;
	report(sim, process,
		(struct rules_event){.type = EVENT_RUNNER_REPORTED_START,
			.runner_started = {.run = process->run}});
	truth->output_from = sim->now;
	truth->output_until = UINT64_MAX;
	truth->output_gap = sim_random(sim, 4) ? NS_PER_S + sim_random(sim, 60 * NS_PER_S) : 0;
	truth->output_burst = sim_random(sim, 8) ? 1 + sim_random(sim, 9999) : FLOOD_BYTES;
	process->step = RUNNER_ENDS;
	process->outcome = OUTCOME_EXITED;
	process->code = sim_random(sim, 3) == 0 ? (int64_t)(1 + sim_random(sim, 125)) : 0;
	switch (process->script) {
	case SCRIPT_ENDS:
		process_next(sim, process,
			sim_random(sim, sim_random(sim, 3) ? deadline / 2 : SHORT_NS));
		break;
	case SCRIPT_HANGS:
	case SCRIPT_IGNORES:
		process->outcome = OUTCOME_TIMED_OUT;
		process->code = 0;
		process_next(
			sim, process, deadline + (process->script == SCRIPT_IGNORES ? grace : 0));
		break;
	case SCRIPT_DIES:
		process->is_killed = true;
		process_next(sim, process, sim_random(sim, deadline / 2));
		break;
	case SCRIPT_STOPS: break; /* nothing more comes */
	}
}

/* By itself, though somebody wanted it to be ended. */
static void check_killed(struct sim *sim, const struct process *process)
{
	const struct truth *truth = &process->file->truth;
	bool is_disturbed = sim->counts.freezes != truth->killed_freezes ||
			    worker_process_life(sim) != truth->killed_life ||
			    !worker_process_is_alive(sim) || sim->faults.hang > 0 ||
			    sim->disk_hangs_until > truth->killed_at || sim->frozen_worker > 0 ||
			    sim->frozen_supervisor > truth->killed_at;
	if (process->outcome == OUTCOME_CANCELLED || truth->killed_at == 0 || is_disturbed)
		return;
	sim_check(sim, sim->now < truth->killed_at + KILL_REACHES_NS,
		"%s goes on though it was killed at %u ms", process->file->name,
		(unsigned)(truth->killed_at / NS_PER_MS));
}

static void write_result(struct sim *sim, struct process *process)
{
	struct record before = process->record;
	struct record_frame frame = {.type = RECORD_RESULT,
		.result = {.outcome = process->outcome,
			.code = process->code,
			.reason = TEXT_NONE,
			.summary = TEXT_NONE,
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
	bool is_kept = write_durably(sim, process, &before, &frame);
	if (!is_kept)
		process->record = before;
	bool is_heard = process->incarnation == supervisor_incarnation(sim) &&
			supervisor_is_up(sim);
	if (!process->is_told && is_heard) {
		process->is_told = true;
		process->file->truth.is_handed = !is_kept;
		report(sim, process,
			(struct rules_event){.type = EVENT_RUNNER_REPORTED_RESULT,
				.result = {.run = process->run,
					.outcome = process->outcome,
					.code = process->code,
					.reason = TEXT_NONE,
					.summary = TEXT_NONE,
					.is_kept = is_kept}});
	}
	process->step = is_kept || process->is_told ? RUNNER_EXITS : RUNNER_WRITES_RESULT;
	process_next(sim, process, process->step == RUNNER_EXITS ? NS_PER_MS : NS_PER_S);
}

/* What could not be ended holds the place of the command, and not its record. */
static void leave(struct sim *sim, struct process *process)
{
	if (process->is_staying || !sim_chance(sim, sim->faults.runner / 10)) {
		process_end(sim, process);
		return;
	}
	process->is_staying = true;
	process->file->lock = 0;
	process_next(sim, process, sim_random(sim, STAY_NS));
}

void runner_step(struct sim *sim, struct process *process)
{
	struct truth *truth = &process->file->truth;
	switch ((enum runner_step)process->step) {
	case RUNNER_OPENS: open_record(sim, process); break;
	case RUNNER_WRITES_START: write_start(sim, process); break;
	case RUNNER_RUNS: run(sim, process); break;
	case RUNNER_ENDS:
		/* A cancel comes once more when the command would have ended by itself. */
		check_killed(sim, process);
		process->is_running = false;
		process->is_ending = true;
		truth->output_until = truth->ended_at = sim->now;
		truth->has_result = true;
		truth->outcome = process->outcome;
		truth->code = process->code;
		process->step = RUNNER_WRITES_RESULT;
		process_next(sim, process, sim_random(sim, NS_PER_MS));
		break;
	case RUNNER_WRITES_RESULT: write_result(sim, process); break;
	case RUNNER_EXITS: leave(sim, process); break;
	}
}
