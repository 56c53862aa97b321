/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sends a run's output to the WebSocket dashboard, line by line, as its file grows. It reads only
 * while little waits to be sent, so a dashboard that is slow or gone costs neither memory nor the
 * command anything: the file waits.
 */
#pragma once

#include "proto/base/time.h"
#include "proto/output_reader.h"
#include "worker/core/action.h"
#include "worker/platform.h"
#include "worker/websocket.h"

#define STREAMER_LINE_BYTES_MAX (16 * 1024)
/* Output that nobody has yet, at the beginning: of more than this only the newest is sent. */
#define STREAMER_BACKLOG_BYTES (1024 * 1024)
#define STREAMER_NEWEST_BYTES  (256 * 1024)

struct event;
struct event_base;

/* A line that is not whole yet. */
struct streamer_line {
	struct bytes text;
	uint64_t offset; /* of the frame where it begins */
	bool is_cut;     /* its beginning was too long and is sent already */
};

struct streamer {
	const char *runs_dir; /* borrowed */
	struct platform_watch watch;
	struct event *event;
	bool is_ready;
	bool is_on;
	bool is_ended; /* all of the output is in the file */
	bool is_told;  /* that it was all sent */
	bool is_noted; /* that some was sent, since the ping before */
	struct mono due;
	struct output_reader reader; /* its fd is ours */
	uint32_t skip; /* bytes of the frame at the reader's offset that were sent already */
	struct streamer_line lines[STREAM_RUNNER + 1];
	struct bytes message;
	char run[RUN_NAME_BYTES_MAX + 1];
	char command[COMMAND_BYTES_MAX + 1];
};

void streamer_init(struct streamer *streamer, const char *runs_dir);
/* Begins at an offset, or goes on with the same run. */
void streamer_start(struct streamer *streamer, struct event_base *base,
	const struct agent_action_stream *stream, struct mono now, struct websocket *websocket);
/* What was not sent is said in a line when the connection still stands. */
void streamer_stop(struct streamer *streamer, struct websocket *websocket);
/* Sends what is new; adds output when it begins to, and streamed when all of an ended run's output
 * is on its way. */
void streamer_work(struct streamer *streamer, struct mono now, struct event_base *base,
	struct websocket *websocket, struct inbox *inbox);
struct mono streamer_due(const struct streamer *streamer, const struct websocket *websocket);
/* A ping goes out now. From where to go on after another connection, should its pong be the last
 * thing heard: before a line that is not whole. */
uint64_t streamer_pinged(struct streamer *streamer);
