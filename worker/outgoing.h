/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The messages that a WebSocket dashboard is sent, as JSON. */
#pragma once

#include "worker/core/action.h"
#include "worker/facts.h"
#include "worker/host.h"
#include "worker/payload.h"

/* What all of them may say of the host. */
struct outgoing {
	const struct host *host;
	const struct facts *facts;
	const struct facts_program *program;
	const char *lock_hash;
	struct payload *payload;
};

/* All replace what to holds. 0, or -1 with errno. */
int outgoing_register(const struct outgoing *outgoing, const struct agent_action_announce *announce,
	struct bytes *to);
int outgoing_heartbeat(
	const struct outgoing *outgoing, const struct agent_action_beat *beat, struct bytes *to);
int outgoing_status(const struct agent_action_report *report, struct bytes *to);
int outgoing_rejected(const struct agent_action_reject *reject, struct bytes *to);
int outgoing_stage(const struct agent_action_stage *stage, struct bytes *to);
int outgoing_tests(const struct agent_action_tests *tests, struct bytes *to);
/* The same tests once more, as the page's progress bar wants them. */
int outgoing_tests_stage(const struct agent_action_tests *tests, struct bytes *to);

/* A line of output, whatever bytes it has: what is no UTF-8 is replaced. Written by hand, for there
 * may be a million of them. */
int outgoing_line(
	struct text line, const char *stream, const char *command, bool is_error, struct bytes *to);
