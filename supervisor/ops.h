/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The operations table: what each command does on the host, as data. A command name from the
 * network selects a row here and nothing else. Pure; linked by the supervisor, which asks what
 * there is, and by the runner, which walks the steps (runner/course.h).
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/terms.h"

#define OP_ARGV_MAX         16
#define OP_SEQUENCES_MAX    4
#define OP_HOST_DEADLINE_MS 3600000 /* an operation of the host's own (ops.d) */

enum op_class {
	OP_COMMAND,   /* runs steps, one command at a time in the agent */
	OP_ANNOUNCED, /* restart, reboot: the steps only check that it can be done */
	OP_CANCEL,    /* stop, kill: handled by the supervisor, never runs */
	OP_PROBE,     /* an automatic look: no record, nothing owed, output captured */
	OP_ACTION,    /* what an announced command does in the end; never asked for from outside */
};

/* When a step runs (all its bits must hold) and how. */
enum op_flag {
	/* Settled by the host's configuration. */
	WHEN_PLAIN = 1u << 0,     /* the repository is a person's checkout */
	WHEN_ISOLATED = 1u << 1,  /* it is the agent's own clone */
	WHEN_HTTP = 1u << 2,      /* the dashboard's protocol; */
	WHEN_WEBSOCKET = 1u << 3, /* standalone hosts are here */
	WHEN_NIXOS = 1u << 4,
	WHEN_HOME_MANAGER = 1u << 5,
	WHEN_NIX_DARWIN = 1u << 6,
	WHEN_NOT_ROOT = 1u << 7,
	/* Settled when the step's turn comes. */
	WHEN_REPO_THERE = 1u << 8, /* {repo}/.git exists */
	WHEN_MARKED = 1u << 9,     /* the sequence's last FAILURE_MARKS step failed, */
	WHEN_UNMARKED = 1u << 10,  /* or it did not */
	WHEN_AGAIN = 1u << 11,     /* the sequence's second round */
	WHEN_FAILED = 1u << 12,    /* cleans up: only after a step of this sequence failed or was
				    * ended; its own failure never changes the outcome */
	/* How. */
	RUN_IN_REPO = 1u << 13,     /* with {repo} as working directory */
	RUN_EACH_SCRIPT = 1u << 14, /* once for each test script of the host, as {script} */
};

#define WHEN_SETTLED_MASK (WHEN_REPO_THERE - 1u)
#define OP_FLAGS_MASK     ((RUN_EACH_SCRIPT << 1) - 1u)

/* What it means when a step exits with anything but 0, is ended by a signal or cannot start. */
enum op_failure {
	FAILURE_STOPS,   /* the run ends with this step's outcome */
	FAILURE_WARNS,   /* the run goes on; a line in the output says so */
	FAILURE_MARKS,   /* it is an answer: the sequence is marked */
	FAILURE_PASSES,  /* nothing; but what cannot start is warned about */
	FAILURE_RETRIES, /* the sequence begins again, once */
};

struct op_step {
	const char *stage; /* its name for progress */
	uint32_t flags;    /* enum op_flag */
	enum op_failure failure;
	const char *says;              /* the reason when it exits 1; NULL: what it wrote itself */
	const char *argv[OP_ARGV_MAX]; /* ends with NULL; {as_root} becomes sudo -n or nothing */
};

/* Steps that share a mark, a second round and a cleaning up. */
struct op_sequence {
	const struct op_step *steps;
	uint32_t count;
};

struct op {
	const char *name;
	enum op_class class;
	uint32_t protocols; /* 1u << PROTOCOL_HTTP, 1u << PROTOCOL_WEBSOCKET */
	uint32_t deadline_ms;
	const char *outside_unit; /* the systemd unit in which it may go on (NixOS); NULL: none */
	const struct op_sequence *sequences[OP_SEQUENCES_MAX]; /* in this order; unused: NULL */
};

/* The row, or NULL: unknown. Standalone hosts (PROTOCOL_NONE) use the WebSocket rows. */
const struct op *ops_find(struct text name, enum protocol protocol);
/* All rows, for help and tests. */
const struct op *ops_all(uint32_t *count);

/* Whether an operation of the host's own may have this name: [a-z][a-z0-9-]{0,31}. */
bool ops_host_name_is_legal(struct text name);
