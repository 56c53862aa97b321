/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The four compartments that a WebSocket dashboard shows for a host: what the last commands and
 * looks made of its repository, its lock file, its system and its tests. Nothing is guessed: what
 * nothing told is unknown.
 */
#pragma once

#include <stdbool.h>

#include "worker/core/event.h"

enum compartment_kind {
	COMPARTMENT_GIT,
	COMPARTMENT_LOCK,
	COMPARTMENT_SYSTEM,
	COMPARTMENT_TESTS,
	COMPARTMENT_COUNT,
};

struct compartment {
	enum update status;
	enum update before; /* while it is working: what it said until then */
	int64_t wall_ms;    /* 0: never */
	char message[SHORT_TEXT_BYTES_MAX + 1];
};

struct compartments {
	struct compartment list[COMPARTMENT_COUNT];
	int64_t lock_updated_ms; /* by a command, perhaps without a commit; 0: not */
};

/* What a finished command says of itself. */
struct compartments_result {
	struct text command;
	uint64_t outcome;
	int64_t code;
	struct text reason, summary;
	int64_t wall_ms;
};

void compartments_started(struct compartments *compartments, struct text command);
void compartments_ended(
	struct compartments *compartments, const struct compartments_result *result);
/* The time of the last commit that touched the lock file, in seconds since 1970. */
void compartments_lock(struct compartments *compartments, int64_t commit_s, int64_t now_wall_ms);
/* Whether this command may change the lock file or its last commit. */
bool compartments_moves_lock(struct text command);
/* Whether this command makes another system the running one. */
bool compartments_switches(struct text command);
