/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A small program of the system's that is asked one thing, and ended when it does not answer. */
#pragma once

#include <stdbool.h>

#define TOOL_ASK_MS       5000
#define TOOL_ANSWER_BYTES 4096

/* What it printed on standard output; false: it failed, or did not answer in TOOL_ASK_MS. Waits, so
 * never in the supervisor's loop. Nothing else may reap the caller's children meanwhile. */
bool tool_ask(const char *const argv[], char answer[TOOL_ANSWER_BYTES]);
