/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One WebSocket connection; for sockets.c and the files beside it only. */
#pragma once

#include <stdint.h>

#include <wslay/wslay.h>

#include "proto/base/time.h"
#include "tests/dashboard/sockets.h"

enum socket_state {
	SOCKET_OPEN,
	SOCKET_DEAF,    /* half-open on purpose: nothing is read, sent or timed */
	SOCKET_CLOSING, /* a close was sent, or all that may go out was written */
	SOCKET_ENDED,   /* freed as soon as no callback is on the stack */
};

struct socket {
	struct sockets *sockets;
	struct socket **place; /* in the list */
	uint64_t number;
	enum socket_state state;
	char host[HOST_BYTES_MAX + 1]; /* empty until a register */
	bool has_origin;
	bool pumping; /* a callback of wslay's may be on the stack */

	struct evhttp_connection *connection;
	struct bufferevent *stream;
	struct event *timer;
	wslay_event_context_ptr frames;
	struct mono heard; /* the last bytes from the agent */
	struct mono ping_due;
	struct mono read_again; /* MONO_NEVER: reading is on, or off for ever */
	struct mono close_due;

	/* What goes wrong on purpose. */
	uint64_t output_left;  /* bytes that may still go out */
	uint64_t input_left;   /* bytes that may still be read */
	uint64_t frame_left;   /* of the frame that is going out */
	bool frame_is_dropped; /* a pong that nobody gets */
	bool no_pong;
};

/* Queues a frame; size bytes. */
void socket_queue(struct socket *socket, uint8_t opcode, const void *data, size_t size);
/* Begins the end: code 0 sends an empty close frame. */
void socket_close(struct socket *socket, uint16_t code);
/* Ends it without a word. */
void socket_drop(struct socket *socket);
/* Reads and writes what there is, and frees the socket where that ended it. Not within wslay's
 * callbacks, where the one that is on the stack does it. */
void socket_pump(struct socket *socket);
/* Lets it meet the fault; socket_fault.c. */
void socket_suffer(struct socket *socket, const struct fault *fault);
/* A whole message has come; socket_message.c. */
void socket_message(struct socket *socket, const struct wslay_event_on_msg_recv_arg *message);
/* One line in the request log. */
void socket_log(const struct socket *socket, const char *method, const char *type,
	const json_t *payload, const char *fault);
