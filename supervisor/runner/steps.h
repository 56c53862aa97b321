/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which steps a run takes: the rows of the operations table, the host's test scripts, or one
 * program of ops.d. Pure but for looking whether the repository is there and listing test scripts.
 */
#pragma once

#include "proto/plan.h"
#include "supervisor/ops.h"

#define STEP_TEXT_MAX    (PATH_BYTES_MAX + URL_BYTES_MAX)
#define TEST_SCRIPTS_MAX 1024 /* a folder with more is an error, never a part of it */

/* One program to run, with everything filled in. */
struct step {
	const char *stage;
	enum op_failure failure;
	char *argv[OP_ARGV_MAX + 1]; /* owned, ends with NULL */
	const char *folder;          /* the working directory; lent by the plan */
	int program; /* a checked descriptor to execute instead of argv[0]; -1: none */
	bool is_test;
	const char *recovery, *good_jump, *bad_jump, *part;
	enum op_verdict verdict;
	const char *says; /* the reason when it fails; NULL: what it wrote itself */
};

struct steps {
	const struct plan_command *plan;
	const struct op *op;
	uint32_t at;   /* in op->steps */
	char *scripts; /* names of test scripts, each NUL-terminated; owned */
	uint32_t script_count, script_at;
	const char *script_next;
	bool is_host_op, is_done;
};

enum steps_verdict {
	STEPS_NEXT,
	STEPS_DONE,
	STEPS_FAILED
};

/* The plan must outlive it. */
void steps_init(struct steps *steps, const struct plan_command *plan);
void steps_finish(struct steps *steps);
/* The next step. STEPS_FAILED: reason (REASON_BYTES_MAX + 1) says why there can be none. */
enum steps_verdict steps_next(struct steps *steps, struct step *step, char *reason);
void step_finish(struct step *step);
/* Goes on with the first step of this stage. */
void steps_jump(struct steps *steps, const char *stage);
/* How many there are in all, for progress; what a jump leaves out is counted. */
uint32_t steps_total(const struct steps *steps);
