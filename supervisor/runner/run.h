/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One command's life in the runner. It answers to its record, its FIFO and its deadline and to
 * nobody else: who started it may be gone.
 */
#pragma once

#include "proto/base/time.h"
#include "proto/plan.h"
#include "proto/record.h"
#include "supervisor/runner/cgroup.h"
#include "supervisor/runner/progress.h"
#include "supervisor/runner/proof.h"
#include "supervisor/runner/sink.h"
#include "supervisor/runner/steps.h"
#include "supervisor/runner/tree.h"

/* Why the tree is being ended before its time; a later one outranks those before it. */
enum run_asked {
	ASKED_NOTHING,
	ASKED_CANCEL,
	ASKED_KILL,
	ASKED_INTERRUPT
};

struct ended {
	enum outcome outcome;
	int64_t code;
};

struct run {
	struct plan_command plan;
	int report;  /* to the supervisor; may be gone at any time */
	int signals; /* the reading end of the signal pipe */
	int control; /* the FIFO; -1: none */
	int turn_fd; /* the folder's lock: held until the end */
	int record_fd;
	bool is_look; /* no other supervisor would find it: it ends with its own */
	struct record record;
	struct sink sink;
	struct cgroup cgroup;
	struct steps steps;
	struct tree tree, told; /* told: who was sent TERM */
	struct mono started, deadline;
	enum run_asked asked;
	int output, error; /* of the step that runs; -1: closed */
	/* The outcome as it takes shape. */
	enum outcome outcome;
	int64_t code;
	char reason[REASON_BYTES_MAX + 1];
	char summary[SHORT_TEXT_BYTES_MAX + 1];
	bool is_outcome_fixed;              /* what comes now only cleans up, */
	struct mono cleaning;               /* since then: for CLEANING_MS, whoever asks for what */
	char trouble[REASON_BYTES_MAX + 1]; /* why the tree is not clean; empty: it is */
	const char *stage;
	struct progress progress;
	struct line lines[2];             /* of standard output and standard error */
	char units[REASON_BYTES_MAX + 1]; /* that do not start, as the step named them */
	bool has_answer;                  /* summary is one */
	uint32_t step_count, test_count, test_passed;
	struct proof proof;
	bool is_killed; /* the last tree that was ended did not go when it was asked to */
};

/* The time of the command begins. */
void run_begin(struct run *run);
/* Runs the plan's steps and fills in the outcome. Whatever it started is ended when it returns, or
 * is counted in the proof. */
void run_steps(struct run *run);
/* One line that a step printed. */
void run_line(struct run *run, const char *line);
/* Fills in the reason from how a step ended and what it said. */
void explain_end(struct run *run, const struct step *step, struct ended ended);
/* The program of a step, as people know it; lent by the step. */
const char *step_program(const struct step *step);
/* Milliseconds since the run began. */
uint64_t run_ms(const struct run *run);
/* Waits at most ms for something to happen and takes it in: output, signals, the FIFO. */
void run_attend(struct run *run, uint64_t ms);
/* Takes in what the step's pipes hold, and no more than that: something may still write. With it
 * the step's lines end. */
void run_drain(struct run *run);
/* After the result is told: while something of the tree is left this process stays, and with it the
 * place of the command, until SIGTERM. The record is given free, for others mark it. */
void run_stay(struct run *run);
/* Ends every process of the run: TERM and grace_ms first when polite, then KILL. */
void run_end_tree(struct run *run, bool polite, uint64_t grace_ms);
