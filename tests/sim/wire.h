/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The WebSocket connections between worker and dashboard: order is kept both ways; what is in
 * flight is lost when a connection is cut, in one direction or both, whether or not the worker is
 * told. Frames are plain values.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"

struct sim;

enum wire_frame_kind {
	/* To the dashboard. */
	FRAME_REGISTER,
	FRAME_BEAT,
	FRAME_STATUS,
	FRAME_REJECTED,
	FRAME_PROGRESS,
	FRAME_OUTPUT,   /* bytes of a run's file */
	FRAME_LEFT_OUT, /* these are not sent, it says */
	FRAME_LINE,     /* of the agent's own */
	FRAME_PING,
	/* To the worker. */
	FRAME_REGISTERED,
	FRAME_COMMAND,
	FRAME_KILL,
	FRAME_PONG,
	FRAME_CLOSE, /* empty: another took the place */
};

struct wire_frame {
	enum wire_frame_kind kind;
	uint64_t wire; /* which connection; set by wire_say and wire_answer */
	char run[RUN_NAME_BYTES_MAX + 1];
	char command[COMMAND_BYTES_MAX + 1];
	uint64_t outcome;
	int64_t code;
	uint64_t from, to; /* of the run's output */
	uint64_t sequence; /* of a ping, or how far the progress is */
	uint64_t total;
	uint64_t ticket;
	uint8_t compartments[4];
	bool is_hard;
};

enum wire_state {
	WIRE_GONE, /* for the worker; what it sent may still arrive */
	WIRE_CONNECTING,
	WIRE_OPEN,
};

struct wire {
	uint64_t number;
	uint64_t life, id; /* the worker, and its name for it */
	enum wire_state state;
	uint64_t out_at, in_at;     /* nothing sent now arrives before */
	uint64_t held_until;        /* the worker's inbox is full */
	bool is_out_cut, is_in_cut; /* nothing arrives any more */
};

#define WIRES_KEPT 16

struct sim_wires {
	struct wire list[WIRES_KEPT]; /* the last ones, by number */
	uint64_t last;
};

/* The worker's last one, also when it is gone. */
struct wire *wire_last(struct sim *sim);
void wire_open(struct sim *sim, uint64_t life, uint64_t id);
/* The worker closes it; it hears nothing more, except what it does itself. */
void wire_close(struct sim *sim);
/* False: not open, or so much waits that no more output may be added. */
bool wire_has_room(struct sim *sim);
bool wire_is_open(struct sim *sim);
void wire_say(struct sim *sim, const struct wire_frame *frame);
void wire_answer(struct sim *sim, uint64_t number, const struct wire_frame *frame);
/* The network is gone: what is open is half-open from now on. */
void wire_network_gone(struct sim *sim);
/* In scenarios: only what the worker says is lost from now on. */
void wire_cut_out(struct sim *sim);

/* The worker's side, in worker_session.c. */
struct wire_end {
	uint64_t id, code, close_code, retry_after_ms;
};
void worker_wire_connected(struct sim *sim, uint64_t life, uint64_t id);
void worker_wire_closed(struct sim *sim, uint64_t life, const struct wire_end *end);
void worker_wire_heard(struct sim *sim, uint64_t life, const struct wire_frame *frame);
bool worker_wire_can_hear(const struct sim *sim, uint64_t life);

/* The dashboard's, in session.c. */
void session_heard(struct sim *sim, const struct wire_frame *frame);
/* It saw the connection end. */
void session_lost(struct sim *sim, uint64_t number);
