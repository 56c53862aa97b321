/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The words of the core that travel in its events and actions: each list once. */
#pragma once

#include <stdint.h>

/* Which token a request carries; the tokens themselves stay with the shell. */
#define TOKENS(X)              \
	X(TOKEN_OWN, 1, "own") \
	X(TOKEN_SHARED, 2, "shared")

/* How a request ended. */
#define ANSWERS(X)                                                                \
	X(ANSWER_GOOD, 1, "good")       /* 2xx with the JSON that was expected */ \
	X(ANSWER_GARBAGE, 2, "garbage") /* 2xx with anything else */              \
	X(ANSWER_CODE, 3, "code")       /* another HTTP status */                 \
	X(ANSWER_NONE, 4, "none")       /* no whole answer: connection, TLS, time */

/* What a compartment of the dashboard says. */
#define UPDATES(X)                        \
	X(UPDATE_UNKNOWN, 0, "unknown")   \
	X(UPDATE_OK, 1, "ok")             \
	X(UPDATE_OUTDATED, 2, "outdated") \
	X(UPDATE_ERROR, 3, "error")       \
	X(UPDATE_WORKING, 4, "working")

/* What an operation's progress is about. */
#define STAGE_KINDS(X)           \
	X(STAGE_NONE, 0, "none") \
	X(STAGE_PULL, 1, "pull") \
	X(STAGE_LOCK, 2, "lock") \
	X(STAGE_SYSTEM, 3, "system")

#define STAGE_STATUSES(X)                      \
	X(STAGE_PENDING, 0, "pending")         \
	X(STAGE_IN_PROGRESS, 1, "in_progress") \
	X(STAGE_COMPLETE, 2, "complete")       \
	X(STAGE_ERROR, 3, "error")

#define X(NAME, id, text) NAME = id,
enum update {
	UPDATES(X)
};
enum stage_kind {
	STAGE_KINDS(X)
};
enum stage_status {
	STAGE_STATUSES(X)
};
enum token {
	TOKENS(X)
};
enum answer_result {
	ANSWERS(X)
};
#undef X
