/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The words that processes, records, dashboards and people share: each list once, with the number
 * that travels and the name that people read.
 */
#pragma once

#include <stdint.h>

/* How the dashboard is spoken to; a standalone host has none. */
#define PROTOCOLS(X)                      \
	X(PROTOCOL_NONE, 0, "standalone") \
	X(PROTOCOL_HTTP, 1, "http")       \
	X(PROTOCOL_WEBSOCKET, 2, "websocket")

/* Who asked for a command. */
#define ORIGINS(X)                          \
	X(ORIGIN_DASHBOARD, 1, "dashboard") \
	X(ORIGIN_LOCAL, 2, "local")

/* How a run ended. A code is never made up. */
#define OUTCOMES(X)                              \
	X(OUTCOME_NONE, 0, "none")               \
	X(OUTCOME_EXITED, 1, "exited")           \
	X(OUTCOME_SIGNALED, 2, "signaled")       \
	X(OUTCOME_TIMED_OUT, 3, "timed out")     \
	X(OUTCOME_CANCELLED, 4, "cancelled")     \
	X(OUTCOME_REFUSED, 5, "refused")         \
	X(OUTCOME_INTERRUPTED, 6, "interrupted") \
	X(OUTCOME_LOST, 7, "lost")

/* Why a command was refused: the code of OUTCOME_REFUSED. */
#define REFUSALS(X)                         \
	X(REFUSAL_OTHER, 0, "not possible") \
	X(REFUSAL_BUSY, 1, "another command runs")

/* The worker's way to the dashboard. */
#define LINKS(X)                            \
	X(LINK_NONE, 0, "none")             \
	X(LINK_WAITING, 1, "waiting")       \
	X(LINK_CONNECTING, 2, "connecting") \
	X(LINK_UP, 3, "up")                 \
	X(LINK_REFUSED, 4, "credentials refused")

/* Which stream a piece of output came from. */
#define STREAMS(X)                    \
	X(STREAM_STDOUT, 1, "stdout") \
	X(STREAM_STDERR, 2, "stderr") \
	X(STREAM_RUNNER, 3, "agent") /* a line of the runner's own */

/* What nfctl doctor makes of a thing; also its exit code. */
#define FINDINGS(X)                      \
	X(FINDING_OK, 0, "ok")           \
	X(FINDING_WARNING, 1, "warning") \
	X(FINDING_FAILED, 2, "failed")

/* What nfctl can tell the agent to do, without more to say about it. */
#define ORDERS(X)                    \
	X(ORDER_RELOAD, 1, "reload") \
	X(ORDER_KICK, 2, "kick")     \
	X(ORDER_RESUME, 3, "resume")

#define X(NAME, id, text) NAME = id,
enum protocol {
	PROTOCOLS(X)
};
enum origin {
	ORIGINS(X)
};
enum outcome {
	OUTCOMES(X)
};
enum refusal {
	REFUSALS(X)
};
enum link {
	LINKS(X)
};
enum stream {
	STREAMS(X)
};
enum finding {
	FINDINGS(X)
};
enum order {
	ORDERS(X)
};
#undef X

/* The name that people read; "?" for a number that is not in the list. */
const char *protocol_name(uint64_t protocol);
const char *origin_name(uint64_t origin);
const char *outcome_name(uint64_t outcome);
const char *link_name(uint64_t link);
const char *stream_name(uint64_t stream);
const char *finding_name(uint64_t finding);

#define OUTCOME_TEXT_BYTES 48
/* "exited 4", "signaled 9", "timed out". text holds OUTCOME_TEXT_BYTES. */
void outcome_text(uint64_t outcome, int64_t code, char *text);
