/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Store children and runners: what happens between two of their system calls can be anything. They
 * outlive the supervisor that started them; only to that one they report.
 */
#pragma once

#include "supervisor/rules.h"
#include "tests/sim/sim.h"

enum process_kind {
	PROCESS_NONE,
	PROCESS_STORE,
	PROCESS_RUNNER
};

/* What the command does, besides ending by itself. */
enum script {
	SCRIPT_ENDS,
	SCRIPT_HANGS,   /* until its deadline */
	SCRIPT_IGNORES, /* TERM too */
	SCRIPT_DIES,    /* its runner is killed */
	SCRIPT_STOPS,   /* its runner is: SIGSTOP */
};

struct process {
	enum process_kind kind;
	uint32_t id; /* its pid */
	uint32_t step;
	uint64_t turn;        /* of the timer that counts */
	uint64_t incarnation; /* of the supervisor that started it */
	uint32_t run;         /* that supervisor's place for it */
	struct file *file;
	struct record record;
	uint64_t started; /* world time */
	bool is_killed;   /* dies as soon as the disk lets it */
	/* A store child. */
	enum rules_act act;
	struct rules_run copy;
	uint8_t byte;
	uint32_t tries;
	uint64_t ticket;
	char token[32];
	struct sim_kept pause;
	bool is_scanned; /* its supervisor knew the records */
	/* A runner. */
	enum script script;
	uint64_t deadline_ms;
	bool is_running, is_told, is_ending;
	bool is_staying; /* with what it could not end */
	enum outcome outcome;
	int64_t code;
	uint64_t watch_incarnation; /* who is told of its end though not its parent; 0: nobody */
	uint32_t watch_run;
};

struct sim_processes {
	uint32_t last_id;
	uint64_t last_turn;
	struct process list[SIM_PROCESS_MAX];
};

struct process *process_add(struct sim *sim, enum process_kind kind);
/* The living runner of that pid, or NULL. */
struct process *process_runner(struct sim *sim, uint64_t pid);
/* Its next step comes after so long, or when the disk does not hang any more. */
void process_next(struct sim *sim, struct process *process, uint64_t ns);
void process_end(struct sim *sim, struct process *process);
void process_kill(struct sim *sim, uint32_t id);
/* What the disk does with an act: false, it fails. */
bool process_disk_works(struct sim *sim);

void store_step(struct sim *sim, struct process *process);
/* Its pid. */
uint32_t store_start(struct sim *sim, const struct rules_run *run, uint32_t index,
	enum rules_act act, uint8_t byte);
void runner_step(struct sim *sim, struct process *process);
void runner_start(
	struct sim *sim, const struct rules_run *run, uint32_t index, uint64_t deadline_ms);
void runner_ended(struct sim *sim, struct process *process);

/* To the supervisor of that incarnation; the record is copied. Texts must be constant. */
void supervisor_post(struct sim *sim, uint64_t incarnation, const struct rules_event *event,
	const struct record *record);
/* What was stored, and what is now known to be safe. */
void supervisor_store_ended(struct sim *sim, const struct process *process);
/* The dashboard's ticket of the command that this run was asked with. */
uint64_t supervisor_ticket(const struct sim *sim, const struct rules_run *run);
const char *supervisor_token(const struct sim *sim);
/* Who has read the records takes this runner's command for one that goes on. */
bool supervisor_sees(const struct sim *sim, const struct process *runner);

/* ---- pause.c ---- */
#define SIM_PAUSE_CLIENT 2
struct rules_event pause_ask(struct sim *sim, bool is_on);
void pause_note_asked(struct sim *sim, const struct rules_event *event);
void pause_note_reply(struct sim *sim, const struct rules_action *action, bool is_on);
/* Nothing may start now. */
bool pause_holds(const struct sim *sim);
struct sim_kept pause_to_keep(const struct sim *sim, const struct rules *rules);
/* What a supervisor that starts finds. */
struct rules_kept_pause pause_read(const struct sim *sim);
bool supervisor_is_scanned(const struct sim *sim);
/* As the rules have it, for a store child. */
struct sim_kept supervisor_pause_to_keep(const struct sim *sim);
