/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The operations table: what each command does, as data. A command name from the network selects a
 * row here and nothing else. Pure; linked by the supervisor (which rows there are) and the runner
 * (steps).
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/terms.h"

#define OP_ARGV_MAX         16
#define OP_HOST_DEADLINE_MS 3600000 /* an operation of the host's own (ops.d) */

enum op_class {
	OP_COMMAND,   /* runs steps, one command at a time */
	OP_ANNOUNCED, /* restart, reboot: the steps only check that it can be done */
	OP_CANCEL,    /* stop, kill: the supervisor's own, never runs */
	OP_PROBE,     /* an automatic look: no record, nothing owed */
	OP_ACTION,    /* what an announced command does in the end; never asked for from outside */
};

/* On which hosts a step exists. */
enum op_guard {
	GUARD_NONE,
	GUARD_PLAIN,            /* the repository is a person's checkout */
	GUARD_ISOLATED,         /* it is the agent's own clone, */
	GUARD_ISOLATED_CORRUPT, /* of which only a part is there: it is thrown away, */
	GUARD_ISOLATED_MISSING, /* which is not there: it is made */
	GUARD_NIXOS_ROOT,
	GUARD_NIXOS_USER,
	GUARD_HOME_MANAGER,
	GUARD_DARWIN_ROOT,
	GUARD_DARWIN_USER,
	GUARD_ROOT,
	GUARD_USER,
};

enum op_failure {
	FAILURE_STOPS,    /* the run ends with this step's outcome */
	FAILURE_WARNS,    /* the run goes on; a line in the output says so */
	FAILURE_GOES_ON,  /* it is an answer, not a failure: on with the next step */
	FAILURE_RECOVERS, /* the outcome is this step's; the steps from `recovery` on clean up */
};

/* What a step is besides a program. */
enum op_kind {
	OP_PROGRAM,
	OP_TESTS, /* the host's test scripts, each a step of its own */
	OP_FAIL,  /* the run ends with `says` */
};

/* The question that a step's output answers; the answer is the run's summary and begins with ok,
 * outdated or error. Where a step has a part and no question, only its failure is an answer. */
enum op_verdict {
	VERDICT_NONE,
	VERDICT_COMMITS, /* the number of commits that the repository is behind */
	VERDICT_LOCK,    /* the time of the last commit that touched flake.lock */
	VERDICT_SYSTEM,  /* what a build would give, as nix's JSON, against what runs */
	VERDICT_VERSION, /* the installed agent's --version against this one's */
};

struct op_step {
	const char *stage; /* its name for progress, and what jumps name */
	enum op_kind kind;
	enum op_guard guard;
	enum op_failure failure;
	/* The stage that cleans up: after a failure that recovers, and, whatever a failure means,
	 * when the step was ended before its time. */
	const char *recovery;
	const char *good_jump;   /* the stage to go on with after success; NULL: the next */
	const char *bad_jump;    /* the stage to go on with after a failure that goes on */
	enum op_verdict verdict; /* what its output is the answer to */
	const char *part;        /* of an answer of several: which one this is */
	const char *says;        /* the reason, instead of what a program wrote; of OP_FAIL too */
	const char *argv[OP_ARGV_MAX];
};

struct op {
	const char *name;
	enum op_class class;
	uint32_t protocols; /* 1 << enum protocol each */
	uint32_t deadline_ms;
	const char *outside_unit;    /* the systemd unit in which it may go on; NULL: none */
	const struct op_step *steps; /* ends with a step without stage */
};

/* The row, or NULL: unknown. Standalone hosts are asked for with PROTOCOL_WEBSOCKET. */
const struct op *ops_find(struct text name, enum protocol protocol);
/* The action of an announced command: the row of class OP_ACTION that is named like it, a dash and
 * more; NULL: the agent's own leaving is all there is to do. */
const struct op *ops_action(struct text command);
/* All rows, for tests and help. */
const struct op *ops_all(uint32_t *count);
