/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the WebSocket dashboard makes of a host's frames: which command it tracks and when that one
 * is complete, the compartments, the progress, and every rule that the agent broke. Owns nothing of
 * the connection, which it knows by number. Pure: time comes as an argument.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/time.h"

#define SESSION_VIOLATIONS_MAX  64
#define SESSION_VIOLATION_BYTES 200
#define SESSION_AWAY_MS         90000 /* a switch without its host for longer has failed */

/* NAME, the type's word. */
#define SESSION_FRAMES(X)                           \
	X(REGISTER, "register")                     \
	X(HEARTBEAT, "heartbeat")                   \
	X(OUTPUT, "output")                         \
	X(STATUS, "status")                         \
	X(COMMAND_REJECTED, "command_rejected")     \
	X(OPERATION_PROGRESS, "operation_progress") \
	X(TEST_PROGRESS, "test_progress")
enum session_frame {
#define X(NAME, word) SESSION_##NAME,
	SESSION_FRAMES(X)
#undef X
	SESSION_FRAME_COUNT,
};

struct session {
	uint64_t connection; /* the one that speaks for the host; 0: none does */
	struct mono gone_at; /* when the last one ended */
	struct mono registered_at;
	int64_t first_heartbeat_ms; /* after the last register; -1: none yet */
	uint32_t tracked;  /* number of the row that blocks further commands; 0: none does */
	json_t *heartbeat; /* the last one's payload, or NULL */
	json_t *progress;  /* the last operation_progress, or NULL */
	uint64_t counts[SESSION_FRAME_COUNT];
	uint64_t ignored; /* frames that were no message, or of no known type */
	uint64_t pings;
	uint64_t pongs;
	uint64_t evicted; /* connections that a second one replaced */
	char *violations[SESSION_VIOLATIONS_MAX];
	uint32_t violation_count; /* also of those that had no place */
};

struct host;
struct output_frame;

/* One frame as it came: all but the host's state. */
struct session_message {
	uint64_t connection;
	const json_t *payload;
	struct mono now;
	struct wall wall;
};

void session_init(struct session *session);
void session_finish(struct session *session);
const char *session_frame_name(enum session_frame frame);
/* The frame's type, or SESSION_FRAME_COUNT. */
enum session_frame session_frame_find(const char *type);

/* A message of the host's. The first on a connection is a register: it makes that connection the
 * one that speaks for the host. */
void session_receive(
	struct host *host, enum session_frame frame, const struct session_message *message);
/* The same for one line of output; the message's payload is not looked at. */
void session_output(
	struct host *host, const struct output_frame *frame, const struct session_message *message);
/* That connection has ended. */
void session_gone(struct host *host, uint64_t connection, struct mono now);
/* A command goes out: opens its row and tracks it. A kill while one is tracked opens none. */
void session_command(struct host *host, const char *command, struct wall wall);
/* Why the dashboard's web API would not send it now, or NULL. */
const char *session_refusal(const struct host *host, const char *command);
/* A rule that the agent broke, in words; printf's form. */
void session_violation(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
