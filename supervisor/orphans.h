/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Ends what a dead runner left behind: its cgroup where it had one, and whatever is left of its
 * session and group or was handed to the supervisor. Called by a store child, which was a child
 * of the supervisor when it was forked; it may take TREE_EMPTY_MS. Never touches the agent, its own
 * children and what is in its session, or a pid <= 1.
 */
#pragma once

#include <sys/types.h>

#include "proto/record.h"
#include "supervisor/runner/proof.h"

struct orphans {
	struct text run;    /* the run's name; lent */
	pid_t keeper;       /* the supervisor that forked the caller */
	const pid_t *known; /* the supervisor's own children; lent */
	uint32_t known_count;
	struct proof proof; /* out */
};

void orphans_end(const struct record *record, struct orphans *orphans);
