/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A host and its dashboard in one deterministic process. Both pure cores are the real ones, and so
 * are the frames between them and in the records; the clock, the disk, the network, the other
 * processes and the dashboard are models. One seed is one run: replaying it gives the same lines.
 *
 * The cores' names clash, so each side has files of its own and they meet here, in bytes and plain
 * values: supervisor.c, store.c and runner.c are the supervisor's, worker.c is the worker's.
 *
 * Time is nanoseconds of the world since the run's start. The machine's own monotonic clock begins
 * anew with each boot; its wall clock jumps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "tests/sim/disk.h"
#include "tests/sim/wire.h"

#define SIM_TIMERS_MAX  512
#define SIM_PROCESS_MAX 64

struct sim;
struct sim_timer {
	uint64_t at, order;
	void (*fire)(struct sim *sim, struct sim_timer *timer);
	uint64_t a, b;
	void *data;
};

/* What may go wrong, in thousandths of the times at which it can. */
struct sim_faults {
	uint32_t disk;    /* an act of a store child or runner fails */
	uint32_t hang;    /* or takes up to two minutes */
	uint32_t network; /* a request or its answer is lost, doubled or spoilt */
	uint32_t crash;   /* a process is killed between two actions */
	uint32_t poison;  /* an output kills the worker that reads it */
	uint32_t runner;  /* a command hangs, ignores signals, its runner is stopped or dies */
};

/* A life's epoch, as the supervisor counts. */
#define SIM_LIFE_EPOCHS 1000000ull

/* What happened in this run; asserted on and summed up. */
struct sim_counts {
	uint64_t steps, commands, accepted, executed, delivered, doubled, crashes, powers, freezes;
	uint64_t poison_deaths, jumps, reports, fast_reports, worker_kills;
};

/* A pause as it is on the disk. */
struct sim_kept {
	bool is_on;
	int64_t until_wall_ms;
	uint64_t left_ms, boot, at; /* at: world time */
};

struct sim_pause {
	struct sim_kept kept;
	bool is_sure; /* somebody was told that it is durable */
	uint64_t until, jumps;
};

struct sim {
	uint64_t seed, random, now, order;
	uint64_t boot_at, boot;
	int64_t wall_offset;
	uint64_t interval_ms, spread_ms;
	bool is_tracing, is_calm; /* calm: no more faults, no more commands */
	struct sim_faults faults;
	struct sim_counts counts;
	struct sim_timer timers[SIM_TIMERS_MAX];
	uint32_t timer_count;
	uint64_t frozen_supervisor, frozen_worker; /* they are not scheduled until then */
	bool is_network_down;
	uint64_t told_end_at; /* the worker was last told how a run ended */
	uint32_t turn;        /* the runner that holds the folder's lock; 0: none */
	uint64_t disk_hangs_until;
	struct sim_pause pause;
	struct disk disk;
	struct sim_supervisor *supervisor;
	struct sim_worker *worker;
	struct sim_processes *processes;
	struct sim_dashboard *dashboard;
	bool is_websocket;
	struct sim_session *session; /* the dashboard's side of it */
	struct sim_wires wires;
};

/* ---- sim.c: clock, chance, lines ---- */
uint64_t sim_random(struct sim *sim, uint64_t bound);
/* True in so many of a thousand cases, and never when all is calm. */
bool sim_chance(struct sim *sim, uint32_t thousandths);
void sim_after(struct sim *sim, uint64_t ns, struct sim_timer timer);
/* Forgets the timers that fire to this function. */
void sim_forget(struct sim *sim, void (*fire)(struct sim *sim, struct sim_timer *timer));
struct mono sim_mono(const struct sim *sim);
struct wall sim_wall(const struct sim *sim);
/* World time at which the machine's clock shows this; UINT64_MAX for never. */
uint64_t sim_world_time(const struct sim *sim, struct mono due);
/* Where the last lines are kept instead of printed, for sim_print_tail(). */
extern bool sim_tail;
void sim_print_tail(void);
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The run is wrong: says so with the seed and its lines, and ends the process. */
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define sim_check(sim, cond, ...)           \
	do {                                \
		if (cond)                   \
			break;              \
		sim_fail(sim, __VA_ARGS__); \
	} while (0)
/* Runs until then, or until the condition holds where there is one. False: it did not. */
bool sim_run(struct sim *sim, uint64_t until, bool (*holds)(struct sim *sim));

/* ---- host.c: the machine ---- */
void host_create(struct sim *sim);
void host_destroy(struct sim *sim);
void host_boot(struct sim *sim);
/* Everything dies, the disk forgets what was not synced; it boots again after a while. */
void host_power_cut(struct sim *sim);
/* At the end, calm: nothing owed, nothing queued, each accepted command told. */
bool host_is_quiet(struct sim *sim);
void host_check_end(struct sim *sim);
/* Begins the faults' own timers. */
void host_begin_faults(struct sim *sim);

/* ---- supervisor.c ---- */
struct sim_supervisor *supervisor_create(void);
void supervisor_destroy(struct sim_supervisor *supervisor);
void supervisor_start(struct sim *sim);
/* Killed with all that dies with it; the runners and store children go on. */
void supervisor_kill(struct sim *sim);
bool supervisor_is_up(const struct sim *sim);
uint64_t supervisor_next(struct sim *sim);
void supervisor_due(struct sim *sim);
void supervisor_hears(struct sim *sim, uint64_t life, struct text payload);
void supervisor_worker_ended(struct sim *sim, uint64_t life);
uint64_t supervisor_incarnation(const struct sim *sim);
uint64_t supervisor_started_at(const struct sim *sim);
uint32_t supervisor_owed(const struct sim *sim);
uint32_t supervisor_queued(const struct sim *sim);
bool supervisor_is_busy(const struct sim *sim);
void supervisor_stop(struct sim *sim);
/* The worker hands over this command under that number. */
void supervisor_note_ticket(struct sim *sim, uint64_t life, uint64_t request, uint64_t ticket);
void supervisor_network(struct sim *sim);
void supervisor_ask_local(struct sim *sim, const char *command);
void supervisor_cancel(struct sim *sim);
void supervisor_pause(struct sim *sim, bool is_on);
bool supervisor_is_paused(const struct sim *sim);
uint64_t supervisor_ready_ms(const struct sim *sim); /* since when it knows all records */

/* ---- store.c, runner.c ---- */
struct sim_processes *processes_create(void);
/* The power is cut. */
void processes_end(struct sim *sim);
/* The longest that a runner of the present may live by the limits, and its age; checked by host.c.
 */
void processes_check(struct sim *sim);
bool processes_are_gone(const struct sim *sim);
void runner_signal(struct sim *sim, const char *run, uint8_t byte);
void runner_kill_any(struct sim *sim);

/* ---- worker.c ---- */
struct sim_worker *worker_process_create(void);
void worker_process_destroy(struct sim_worker *worker);
/* life is the epoch and the supervisor's incarnation in one number. */
void worker_process_start(struct sim *sim, uint64_t life);
void worker_process_kill(struct sim *sim, const char *why);
bool worker_process_is_alive(const struct sim *sim);
/* The one of that life still waits for its answer. */
bool worker_process_waits(const struct sim *sim, uint64_t life);
uint64_t worker_process_life(const struct sim *sim);
void worker_process_hears(struct sim *sim, uint64_t life, struct text payload);
uint64_t worker_process_next(struct sim *sim);
void worker_process_due(struct sim *sim);
/* A reply of the dashboard to the worker of that life. */
struct sim_reply {
	uint64_t life, id;
	uint32_t code; /* 0: none */
	bool is_garbage;
	uint64_t token; /* a new one, by its number; 0: none */
	uint64_t retry_after_ms;
	char command[32];
	uint64_t ticket; /* of the command, for the book-keeping */
};
void worker_process_answered(struct sim *sim, const struct sim_reply *reply);
void worker_process_check_end(struct sim *sim);
bool worker_process_is_content(const struct sim *sim);

/* ---- channel.c: frames between the two ---- */
enum sim_way {
	TO_WORKER,
	TO_SUPERVISOR
};
void channel_reset(struct sim *sim, uint64_t life);
/* False when the other end does not read. */
struct bytes *channel_room(struct sim *sim, enum sim_way way);
void channel_wrote(struct sim *sim, enum sim_way way);
/* The rest of what a dead worker said. */
void channel_drain(struct sim *sim);
void channel_free(void);

/* ---- dashboard.c ---- */
struct sim_request {
	uint64_t life, id;
	enum {
		ASK_REGISTER,
		ASK_STATUS,
		ASK_PROGRESS
	} kind;
	bool is_running;
	uint64_t token; /* its number; 0: the shared one */
	char run[RUN_NAME_BYTES_MAX + 1];
	uint64_t outcome;
	int64_t code;
};
struct sim_dashboard *dashboard_create(void);
void dashboard_asked(struct sim *sim, const struct sim_request *request);
void dashboard_begin(struct sim *sim);
/* A person presses this now. */
void dashboard_queue(struct sim *sim, const char *command);
/* Outcomes came in the order in which their commands were handed out. */
bool dashboard_is_in_order(const struct sim *sim);
uint64_t dashboard_registrations(const struct sim *sim);
bool dashboard_is_quiet(const struct sim *sim);
/* Whichever dashboard: it learns how a run ended. is_spare: doubled on the way. */
void dashboard_takes(
	struct sim *sim, struct file *file, uint64_t outcome, int64_t code, bool is_spare);
uint64_t dashboard_next_ticket(struct sim *sim);
void dashboard_note_registration(struct sim *sim);

/* ---- session.c: the WebSocket dashboard ---- */
struct sim_session *session_create(void);
/* A person presses this now. False: the host is not connected, or a command is tracked. */
bool session_press(struct sim *sim, const char *command, bool is_careful);
void session_begin(struct sim *sim);
bool session_is_quiet(const struct sim *sim);
void session_check_end(struct sim *sim);
/* The worker is told a command. */
void session_note_told(struct sim *sim, uint64_t ticket);
/* Somebody wants what is there now to end; checked when something is ended, and when it is not. */
void session_note_kill(struct sim *sim);
/* A kill came after that command. */
bool session_may_end(const struct sim *sim, uint64_t ticket);
/* A run was delivered; after a good switch that supervisor must give way to a new one. */
void session_expect_leave(struct sim *sim, struct file *file, uint64_t incarnation);
bool file_is_good_switch(struct file *file);
