/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a store child does with the disk. It runs in a forked child that may block for as long as
 * the disk does; what it says goes into frames (stored.def).
 */
#pragma once

#include "proto/control.h"
#include "supervisor/config.h"
#include "supervisor/rules.h"
#include "supervisor/stored.h"

struct store_job {
	enum rules_act act;
	const struct rules_run *run; /* NULL where the act is not about one */
	uint8_t byte;                /* ACT_CANCEL */
	const struct config *config;
	const char *dashboard; /* ACT_ACCEPT: where the command came from */
	const char *token;
	const struct rules_pause *pause;
	uint64_t pause_left_ms;
	bool is_scanned;    /* the supervisor knows the records already */
	const pid_t *known; /* the supervisor's own children */
	uint32_t known_count;
	int runs;                              /* the folder of the records */
	int state;                             /* the state folder */
	int flight;                            /* shared memory, -1: none */
	int out;                               /* where frames go */
	char sent_run[RUN_NAME_BYTES_MAX + 1]; /* whose output was sent last, and how much of it */
	uint64_t sent;
	uint64_t health; /* of the agent, and the sentence behind it, for a client */
	const char *why;
	const char *call;  /* out: what failed */
	uint64_t sequence; /* out: the highest there is */
	pid_t parent;      /* the supervisor */
	bool is_more;      /* out */
	bool is_unsettled; /* out: a record is just being made */
};

/* The child may outlive its supervisor on a stuck disk, so it keeps nothing but what it works with:
 * not the locks, not the worker's channel, not another client. */
void store_child_keep_only(struct store_job *job);
/* Performs the act and says how it went. */
void store_child_run(struct store_job *job);

/* For clients of the control socket: the newest records as run frames; or the two files of one,
 * newest for an empty name, as descriptors. Frames and descriptors go to out, a client's socket. */
/* They end with done or refused. */
void store_child_list(struct store_job *job, uint32_t most);
/* One frame to the client; data is the job. */
void store_child_say(void *data, const struct control *control);
void store_child_flight(struct store_job *job, uint64_t most);
void store_child_files(struct store_job *job, struct text name);
