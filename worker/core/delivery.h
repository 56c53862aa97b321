/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Commands, their output and their outcomes over a WebSocket. The output of one run at a time is
 * sent; a status follows all of its run's output, and counts as delivered when the dashboard
 * answered a ping sent after it. Part of the agent.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/core/event.h"
#include "worker/core/stages.h"

struct agent;
struct actions;
struct debt;
struct session_ping;

/* The command that runs. */
struct going {
	char run[RUN_NAME_BYTES_MAX + 1]; /* empty: none */
	char command[COMMAND_BYTES_MAX + 1];
	uint64_t pid;
	uint64_t sent;                    /* the dashboard has its output up to there */
	char stop[COMMAND_BYTES_MAX + 1]; /* the last one, by the name that was said */
	bool is_stop_answered;
	bool is_stop_kept; /* it ends a command, and is answered then if that is the host's own */
	bool is_owed;
	bool was_unseen;   /* the connection was down while it ran */
	bool is_cancelled; /* it was asked to end: the next time is not polite */
	struct stages stages;
};

/* The run whose output is being sent. */
struct feed {
	char run[RUN_NAME_BYTES_MAX + 1];  /* empty: none */
	char last[RUN_NAME_BYTES_MAX + 1]; /* the one before, which an action may lend */
	bool is_ended;                     /* the shell was told that all of it is there */
	bool is_unproven;                  /* output went that no ping follows yet */
	uint64_t told;                     /* the supervisor, of what the dashboard has */
	struct mono told_due;
};

void delivery_accepted(struct agent *agent, const struct agent_event_accepted *accepted);
void delivery_started(struct agent *agent, struct mono now,
	const struct agent_event_started *started, struct actions *actions);
void delivery_progressed(struct agent *agent, const struct agent_event_progressed *progressed,
	struct actions *actions);
void delivery_ended(struct agent *agent, struct mono now, const struct agent_event_ended *ended,
	struct actions *actions);
void delivery_streamed(struct agent *agent, const struct agent_event_streamed *streamed);
void delivery_told(struct agent *agent, struct text command, struct actions *actions);
/* kill_command. */
void delivery_kill(struct agent *agent, bool is_hard, struct actions *actions);
/* The dashboard answered this ping. */
void delivery_pong(struct agent *agent, struct mono now, const struct session_ping *ping,
	struct actions *actions);
void delivery_facts_known(struct agent *agent);
void delivery_lock_known(struct agent *agent);
void delivery_closed(struct agent *agent, struct actions *actions);
void delivery_next(struct agent *agent, struct mono now, struct actions *actions);
struct mono delivery_due(const struct agent *agent);
void delivery_output(struct agent *agent, struct mono now, const struct agent_event_output *output);
