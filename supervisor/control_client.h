/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A client of the control socket, as control_server.c keeps it and control_answer.c answers it. */
#pragma once

#include "proto/control.h"
#include "supervisor/shell.h"

#define CONTROL_GROUP "nixfleet"

struct control_client {
	uint64_t id; /* 0: a free place */
	struct control_server *server;
	struct shell *shell;
	struct channel channel;
	struct event *readable, *writable;
	uid_t user;
	bool may_change;               /* and read output */
	bool is_waiting;               /* for a reply of the rules */
	bool is_readable, is_writable; /* noted by the callbacks */
	struct mono due;               /* say something, or go */
};

/* Frees its place. */
void control_client_drop(struct control_client *client);
/* One frame of its answer; a client that does not read loses the rest and its place. */
void control_say(struct control_client *client, const struct control *control);
void control_refuse(struct control_client *client, const char *reason);
void control_done(struct control_client *client, struct text note);
/* Answers one question. The client may be dropped then: a child has it. */
void control_answer(struct control_client *client, const struct control *asked);
