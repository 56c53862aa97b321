/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The worker's process: what worker.c and worker_session.c share. */
#pragma once

#include "proto/message.h"
#include "tests/sim/sim.h"
#include "worker/core/agent.h"
#include "worker/core/news.h"
#include "worker/inbox.h"

#define SIM_TOLD_MAX 256

/* What the shell's streamer knows. */
struct sim_stream {
	bool is_noted; /* output went since the last ping, and the core knows */
	bool is_on, is_ended, is_told;
	char run[RUN_NAME_BYTES_MAX + 1];
	char command[COMMAND_BYTES_MAX + 1];
	uint64_t offset;
	uint64_t turn; /* of the timer that counts */
};

/* A command that an answer brought: it may be lost only with the worker, before it was safe. */
struct brought {
	uint64_t ticket;
	bool is_excused;
};

#define BROUGHT_MAX 1024

struct sim_worker {
	struct brought brought[BROUGHT_MAX];
	uint32_t brought_count;
	bool is_alive, is_ready, is_leaving;
	uint64_t life;
	uint64_t token; /* the number of its own one; 0: none */
	struct agent agent;
	struct news news;
	uint64_t ping;   /* of the last one heard */
	struct mono due; /* of the core, after the last turn */
	struct actions actions;
	bool has_next; /* before all that is in the inbox */
	struct agent_event next;
	struct inbox inbox;
	uint64_t answer_ticket;      /* of the answer in this turn */
	uint64_t told[SIM_TOLD_MAX]; /* tickets of the commands in the inbox */
	uint32_t told_first, told_count;
	struct sim_stream stream;
	struct file *unproven[AGENT_RUNS_MAX]; /* told over this connection */
	uint32_t unproven_count;
	uint64_t rejections; /* said, and not yet known to be delivered */
	uint64_t progress;   /* of the followed run */
	char followed[RUN_NAME_BYTES_MAX + 1];
	char withheld[RUN_NAME_BYTES_MAX + 1];
	struct bytes line;
};

void worker_say(struct sim *sim, const struct message *message);
void worker_turns(struct sim *sim);
/* Adds to the inbox. Its texts stay as they are until the turn ends. */
void worker_add(struct sim *sim, const struct agent_event *event);
/* An event from outside a turn, and what follows from it. */
void worker_take(struct sim *sim, const struct agent_event *event);
/* It knows that this command was brought to it. */
void worker_note_brought(struct sim *sim, uint64_t ticket);
/* No record stands behind it, and the dashboard was told so. */
void worker_excuse_last(struct sim *sim);
/* Reading this run's output would kill it, and did. */
bool worker_is_poisoned(struct sim *sim, const struct file *file);

/* ---- worker_session.c ---- */
void worker_session_perform(struct sim *sim, const struct agent_action *action);
/* Before a turn with this event, and after it. */
void worker_session_before(struct sim *sim, const struct agent_event *event);
void worker_session_after(struct sim *sim, const struct agent_event *event);
/* It says that this run was delivered. */
void worker_session_delivered(struct sim *sim, struct file *file);
void worker_session_ended(struct sim *sim);
