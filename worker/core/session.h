/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The connection to a WebSocket dashboard: made, registered, kept alive by heartbeats and pings,
 * given up when it is silent. Part of the agent; contact.h says when it is tried again.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/core/event.h"

struct agent;
struct actions;

enum session_state {
	SESSION_DOWN,       /* contact says when to connect */
	SESSION_CONNECTING, /* the upgrade is under way */
	SESSION_LOOKING,    /* connected; the facts that register carries are being read */
	SESSION_REGISTERING,
	SESSION_UP,
	SESSION_CLOSING, /* given up; closed is on its way */
};

struct session_ping {
	uint64_t sequence;                /* of the last one */
	bool is_out;                      /* its pong did not come yet: there is one at a time */
	uint64_t offset;                  /* of the streamed output before it, */
	char run[RUN_NAME_BYTES_MAX + 1]; /* which is this one's; empty: none was streamed */
	struct mono due;                  /* of the next */
};

/* All zero: down, and the age of the lock file was never looked at. */
struct session {
	enum session_state state;
	uint64_t id;       /* of the connection */
	struct mono due;   /* registering: no longer than this */
	struct mono heard; /* up: the dashboard, last */
	struct mono since; /* up */
	struct mono beat_due;
	uint64_t look;    /* the look that is out; 0 for none */
	bool is_beating;  /* and it is for a heartbeat */
	bool is_beaten;   /* a heartbeat followed the last status */
	bool is_switched; /* a good switch was told: the dashboard waits for another connection */
	struct session_ping ping;
	uint32_t evictions;
	char system_message[SHORT_TEXT_BYTES_MAX + 1]; /* with the mark of a pause */
	struct mono doubt_due; /* the network changed: to be heard by then */
	struct mono lock_due;  /* when the age of the lock file is looked at again */
	uint64_t lock_probe;   /* the id of the one that is out; 0 for none */
};

void session_connected(struct agent *agent, const struct agent_event_connected *connected,
	struct actions *actions);
void session_closed(struct agent *agent, struct mono now, const struct agent_event_closed *closed,
	struct actions *actions);
void session_registered(struct agent *agent, struct mono now);
void session_looked(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions);
void session_probed(struct agent *agent, const struct agent_event_probed *probed);
void session_pinged(struct agent *agent, const struct agent_event_pinged *pinged);
void session_pong(struct agent *agent, struct mono now, const struct agent_event_pong *pong,
	struct actions *actions);
void session_network(struct agent *agent, struct mono now, struct actions *actions);
/* A heartbeat at once. */
void session_hasten(struct agent *agent, struct mono now);
/* The facts of the host anew: a command may have changed them. */
void session_look(struct agent *agent, struct actions *actions);
/* A ping no later than that many milliseconds from now. */
void session_ping_within(struct agent *agent, struct mono now, uint64_t ms);
/* The pong that proves that all sent so far was read will have this number or a later one. */
uint64_t session_barrier(struct agent *agent, struct mono now);
/* Ends the connection: the agent stops, or it is of no use. */
void session_close(struct agent *agent, const char *reason, struct actions *actions);
/* What is due now. */
void session_next(struct agent *agent, struct mono now, struct actions *actions);
struct mono session_due(const struct agent *agent);
