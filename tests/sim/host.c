/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The machine: what breaks it, and what must be true of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/sim/sim.h"

#define TEN_YEARS_NS (10ll * 365 * 24 * 3600 * (int64_t)NS_PER_S)
#define BOOT_NS      (20 * NS_PER_S)
#define CHECK_EVERY  (30 * NS_PER_S)

static void on_boot(struct sim *sim, struct sim_timer *timer)
{
	if (timer->b == sim->boot)
		host_boot(sim);
}

void host_boot(struct sim *sim)
{
	sim->boot_at = sim->now;
	supervisor_start(sim);
}

void host_power_cut(struct sim *sim)
{
	sim_trace(sim, "the power is cut");
	sim->counts.powers++;
	supervisor_kill(sim);
	worker_process_kill(sim, "the power is cut");
	processes_end(sim);
	disk_power_cut(sim);
	disk_note_losses(&sim->disk);
	sim->disk_hangs_until = 0;
	sim->boot++;
	sim_after(sim, BOOT_NS, (struct sim_timer){.fire = on_boot, .b = sim->boot});
}

static void freeze(struct sim *sim, uint64_t ns, bool is_all)
{
	sim_trace(sim, "%s frozen for %u ms", is_all ? "all are" : "the supervisor is",
		(unsigned)(ns / NS_PER_MS));
	sim->counts.freezes++;
	sim->frozen_supervisor = sim->now + ns;
	if (is_all)
		sim->frozen_worker = sim->now + ns;
}

static void on_network(struct sim *sim, struct sim_timer *timer)
{
	(void)timer;
	sim_trace(sim, "the network is back");
	sim->is_network_down = false;
	supervisor_network(sim);
}

static void break_network(struct sim *sim)
{
	if (sim->is_network_down)
		return;
	sim_trace(sim, "the network is gone");
	sim->is_network_down = true;
	wire_network_gone(sim);
	sim_after(sim, sim_random(sim, 20 * 60 * NS_PER_S), (struct sim_timer){.fire = on_network});
}

static void jump(struct sim *sim)
{
	sim->counts.jumps++;
	sim->wall_offset = (int64_t)sim_random(sim, 2 * (uint64_t)TEN_YEARS_NS);
	sim_trace(sim, "the wall clock jumps");
}

/* One thing goes wrong; the next does after a while. */
static void on_fault(struct sim *sim, struct sim_timer *timer)
{
	if (sim->is_calm)
		return;
	switch (sim_random(sim, 17)) {
	case 0: supervisor_kill(sim); break;
	case 1:
	case 2: worker_process_kill(sim, "killed from outside"); break;
	case 3:
		sim_trace(sim, "the worker hangs");
		sim->frozen_worker = sim->now + 3600 * NS_PER_S;
		break;
	case 4: freeze(sim, sim_random(sim, 90 * NS_PER_S), false); break;
	case 5: freeze(sim, sim_random(sim, 600 * NS_PER_S), true); break;
	case 6: host_power_cut(sim); break;
	case 7: break_network(sim); break;
	case 8: jump(sim); break;
	case 9:
		sim_trace(sim, "the disk hangs");
		sim->disk_hangs_until = sim->now + sim_random(sim, 120 * NS_PER_S);
		break;
	case 10: runner_kill_any(sim); break;
	case 11: supervisor_cancel(sim); break;
	case 12: supervisor_ask_local(sim, sim_random(sim, 2) ? "pull" : "test"); break;
	case 13: supervisor_stop(sim); break;
	case 14: supervisor_pause(sim, true); break;
	case 15:
	case 16: supervisor_pause(sim, false); break;
	default: break;
	}
	sim_after(sim, sim_random(sim, 300 * NS_PER_S), *timer);
}

static void on_check(struct sim *sim, struct sim_timer *timer)
{
	processes_check(sim);
	if (sim->is_calm && supervisor_is_up(sim) && supervisor_is_paused(sim))
		supervisor_pause(sim, false);
	sim_after(sim, CHECK_EVERY, *timer);
}

void host_begin_faults(struct sim *sim)
{
	sim_after(sim, sim_random(sim, 100 * NS_PER_S), (struct sim_timer){.fire = on_fault});
}

void host_create(struct sim *sim)
{
	sim->supervisor = supervisor_create();
	sim->worker = worker_process_create();
	sim->processes = processes_create();
	sim->dashboard = dashboard_create();
	sim->session = session_create();
	sim_after(sim, CHECK_EVERY, (struct sim_timer){.fire = on_check});
	host_boot(sim);
}

void host_destroy(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->timer_count; i++)
		free(sim->timers[i].data);
	supervisor_destroy(sim->supervisor);
	worker_process_destroy(sim->worker);
	free(sim->processes);
	free(sim->dashboard);
	free(sim->session);
}

bool host_is_quiet(struct sim *sim)
{
	return supervisor_is_up(sim) && !supervisor_is_paused(sim) && !supervisor_is_busy(sim) &&
	       supervisor_owed(sim) == 0 && supervisor_queued(sim) == 0 &&
	       dashboard_is_quiet(sim) && worker_process_is_content(sim) && processes_are_gone(sim);
}

/* Who was told that it is good sees a machine that was started anew since. */
static void check_reboot(struct sim *sim, const struct file *file, const struct record *record)
{
	char boot[32];
	bool is_good = record->outcome == OUTCOME_EXITED && record->code == 0;
	snprintf(boot, sizeof(boot), "boot-%u", (unsigned)sim->boot);
	sim_check(sim,
		!is_good || file->truth.is_named || strcmp(record->command, "reboot") != 0 ||
			strcmp(record->boot, boot) != 0,
		"%s is good and the machine was not started anew", file->name);
}

void host_check_end(struct sim *sim)
{
	worker_process_check_end(sim);
	if (sim->is_websocket)
		session_check_end(sim);
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct file *file = sim->disk.files[i];
		const struct truth *truth = &file->truth;
		if (!file->is_there && !truth->is_accepted)
			continue;
		sim_check(sim, file->is_there, "%s was accepted and is gone", file->name);
		const struct record *record = disk_read(file);
		if (record->state == RECORD_EMPTY && !truth->is_accepted)
			continue; /* nothing of it ever reached the disk */
		sim_check(sim, record->state == RECORD_FINISHED, "%s has no outcome", file->name);
		check_reboot(sim, file, record);
		if (truth->ticket == 0)
			continue;
		sim_check(sim, truth->deliveries > 0 || truth->is_undeliverable,
			"%s was never told", file->name);
		sim_check(sim, record->told != RECORD_NOT_TOLD, "%s is still owed", file->name);
	}
}
