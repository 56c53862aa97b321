/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The worker's shell: one loop that waits, turns what happened into events, and does what the core
 * wants. shell_listen.c reads the supervisor, shell_perform.c carries actions out, shell.c turns.
 * Callbacks only note; the one wait is in shell_run.
 */
#pragma once

#include <event2/event.h>

#include "proto/channel.h"
#include "proto/message.h"
#include "worker/core/news.h"
#include "worker/facts.h"
#include "worker/flight.h"
#include "worker/follow.h"
#include "worker/http.h"
#include "worker/inbox.h"
#include "worker/payload.h"
#include "worker/repository.h"
#include "worker/streamer.h"
#include "worker/tokens.h"

#define SHELL_CHANNEL_FD 3
#define SHELL_FLIGHT_FD  4

enum shell_state {
	SHELL_SILENT, /* hello did not come yet */
	SHELL_WORKING,
	SHELL_LEAVING, /* the core is done: what is queued goes out */
	SHELL_DONE,
};

struct shell {
	enum shell_state state;
	int exit_code;
	int flight_fd;
	bool is_verbose; /* each turn is a line of the log */
	struct mono now;
	struct mono leave_due;
	struct event_base *base;
	struct event *readable; /* the channel */
	struct event *writable;
	struct event *timer;
	struct mono timer_due;
	uint64_t ping; /* the last one of the supervisor's */
	struct channel channel;
	bool channel_is_ready; /* it has bytes, or messages that had no room in the inbox */
	struct inbox inbox;
	struct agent agent;
	struct actions actions;
	struct flight_recorder flight;
	struct host host;
	struct tokens tokens;
	struct transport transport;
	struct http *http;           /* NULL unless the dashboard speaks HTTP */
	struct websocket *websocket; /* NULL unless it speaks WebSocket */
	struct streamer streamer;
	struct facts_program program;
	struct facts_source source;
	struct facts facts; /* of the last look */
	struct repository repository;
	uint64_t look; /* the id of the one that waits for the repository, 0 for none */
	struct payload payload;
	struct follow follow;
	enum link link; /* as it was logged last */
	struct news news;
	char withheld[RUN_NAME_BYTES_MAX + 1]; /* whose output is not read; empty: none */
	struct bytes body;                     /* of the request that is being made */
	char probe_name[COMMAND_BYTES_MAX + 1];
};

/* Takes the channel's descriptor and who looks at the repository; borrows the recorder's, -1 for
 * none. 0, or -1 with errno. */
int shell_init(
	struct shell *shell, int channel_fd, int flight_fd, const struct repository *repository);
/* Works until the supervisor is gone or says stop. The exit code. */
int shell_run(struct shell *shell);

/* Reads what the supervisor said. */
void shell_listen(struct shell *shell);
/* Tells the supervisor how the link is: its ping is answered, or the link changed since. */
void shell_pong(struct shell *shell);
/* Queues a message and sends what goes. Never called without room: shell_has_room() is asked before
 * a turn begins. */
void shell_say(struct shell *shell, const struct message *message);
bool shell_has_room(struct shell *shell);

void shell_perform(struct shell *shell, const struct agent_action *action);
/* The actions that only a WebSocket dashboard causes. */
void shell_perform_session(struct shell *shell, const struct agent_action *action);
/* Ends the look that waits, once the repository is looked at or its disk hangs. */
void shell_take_look(struct shell *shell);
/* Takes the reply of the request under way, if there is one. */
void shell_take_reply(struct shell *shell);
