/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The flight recorder: the last events of the core and what it made of them, in a file of fixed
 * size that outlives the process (shared memory the supervisor holds). The file is two halves used
 * in turn; each begins with the core's limits or its whole state, so that either replays alone. It
 * is written with pwrite, never mapped: pages of it are not this process's memory.
 *
 * Order for each step: flight_event, agent_step, flight_actions.
 */
#pragma once

#include "worker/core/agent.h"

#define FLIGHT_FORMAT       1
#define FLIGHT_BYTES        (1024 * 1024)
#define FLIGHT_HALF_BYTES   (FLIGHT_BYTES / 2)
#define FLIGHT_DIGEST_BYTES 5

#define SCHEMA_DEF    "worker/flight.def"
#define SCHEMA_PREFIX flight
#include "proto/schema_declare.h"

struct flight_recorder {
	int fd; /* borrowed; -1: records nowhere */
	uint32_t half;
	uint32_t at; /* in the half */
	uint64_t order;
	struct bytes frame;
	struct mono now;
	struct bytes event; /* of the turn under way */
};

/* Begins a recording over what was there. fd: -1, or a file of FLIGHT_BYTES. */
void flight_init(
	struct flight_recorder *flight, int fd, struct wall now, const struct agent_limits *limits);
void flight_finish(struct flight_recorder *flight);
/* agent: as it is before the step. */
void flight_event(struct flight_recorder *flight, struct mono now, struct wall wall,
	const struct agent *agent, struct text event);
void flight_actions(struct flight_recorder *flight, const struct actions *actions);

/* The digests of actions, FLIGHT_DIGEST_BYTES each. 0, or -1 with errno. */
int flight_digest(const struct actions *actions, struct bytes *to);
