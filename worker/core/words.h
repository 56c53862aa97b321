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

#define X(NAME, id, text) NAME = id,
enum token {
	TOKENS(X)
};
enum answer_result {
	ANSWERS(X)
};
#undef X
