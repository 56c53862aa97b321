/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the dashboard knows of one host: its record as it was received, the one-place queue, the
 * log of commands, its token. Pure: time comes as an argument, nothing is sent or written here.
 *
 * host_init, then host_register for each registration; host_seen for each other request;
 * host_finish.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/base/time.h"
#include "tests/dashboard/session.h"

#define HOST_ROWS_MAX             64
#define HOST_OFFLINE_MS           300000
#define HOST_TOKEN_BYTES          72
#define HOST_STATUS_BYTES         16
#define HOST_COMMENT_BYTES        (200 * 4 + 1) /* 200 characters of UTF-8 */
#define HOST_TAIL_BYTES           65536         /* of what a command wrote over WebSocket */
#define HOST_FALLBACK_COMMENT_MAX 100           /* of the first line of an error's output */

enum row_state {
	ROW_QUEUED,
	ROW_LOST, /* overwritten in the queue, or cleared from it; still open, as on the real one */
	ROW_HANDED_OUT,
	ROW_SETTLING,     /* exit 0 was told over WebSocket; the next heartbeat completes it */
	ROW_RECONNECTING, /* a switch went well over WebSocket; the agent is to come back */
	ROW_CLOSED,
};

/* One line of the command log. A wall time of 0 is "not yet". */
struct row {
	uint32_t number;
	enum row_state state;
	char command[COMMAND_BYTES_MAX + 1];
	struct wall queued_at;
	struct wall handed_out_at;
	struct wall closed_at;
	uint32_t received; /* reports that closed it: 0 or 1 */
	char status[HOST_STATUS_BYTES];
	char comment[HOST_COMMENT_BYTES];
	char *output; /* cleaned: newlines and ASCII 32 to 126; NULL for none */

	/* WebSocket only. */
	uint32_t output_size;
	uint64_t lines; /* of output, before the status */
	uint64_t lines_stderr;
	uint64_t lines_red;  /* with is_error */
	uint64_t lines_late; /* after the status */
	bool has_exit_code;
	int64_t exit_code;
	uint64_t told_by;   /* the connection that brought the status; 0: none */
	bool false_success; /* a disconnect during a switch, taken for its end */
};

enum host_token {
	HOST_TOKEN_NONE,    /* the shared one is accepted */
	HOST_TOKEN_DUE,     /* made, goes out with the next answer */
	HOST_TOKEN_OWN,     /* handed out: the shared one is refused */
	HOST_TOKEN_ROTATED, /* replaced by a person: the shared one is accepted, none goes out */
};

/* The one that the last registration came by. */
enum host_protocol {
	HOST_HTTP,
	HOST_WEBSOCKET,
};

struct host {
	char id[HOST_BYTES_MAX + 1];
	uint64_t registrations;
	bool seen; /* false until the second registration */
	struct mono last_seen;
	struct wall last_seen_wall;
	json_t *record; /* as received last; never NULL after the first registration */
	char criticality[HOST_STATUS_BYTES];

	uint32_t queued;                     /* number of the row whose command waits; 0: none */
	char pending[COMMAND_BYTES_MAX + 1]; /* what the last registration's answer handed out */
	uint32_t rows_made;
	uint32_t rows_count;
	struct row rows[HOST_ROWS_MAX]; /* oldest first */
	uint64_t reports;
	uint64_t reports_without_row;

	char status[HOST_STATUS_BYTES];
	char comment[HOST_COMMENT_BYTES];
	char *test_status; /* NULL: never told */
	bool test_running;
	json_t *progress; /* the last test-progress as received, or NULL */
	uint64_t progress_count;

	enum host_protocol protocol;
	struct session session;

	enum host_token token_state;
	char token[HOST_TOKEN_BYTES];
};

void host_init(struct host *host, const char *id);
void host_finish(struct host *host);

/* record has passed validation; a reference is kept. The first one leaves the host never seen. */
void host_register(struct host *host, json_t *record, struct mono now, struct wall wall);
/* Any other request of the host; one that was never seen stays so. */
void host_seen(struct host *host, struct mono now, struct wall wall);
bool host_online(const struct host *host, struct mono now);

/* A row whose command is on its way already. Its number is never 0. */
struct row *host_hand_out(struct host *host, const char *command, struct wall wall);
/* The newest row of that command, open or not; NULL for none. */
struct row *host_row_of(struct host *host, const char *command);
struct row *host_newest_open_row(struct host *host);
/* The row with this number, to be changed; NULL where it is not known (any more). */
struct row *host_row_numbered(struct host *host, uint32_t number);
void row_close(struct row *row, const char *status, const char *comment, struct wall wall);
/* Adds a line to the output, of which the last HOST_TAIL_BYTES stay. */
void row_add_line(struct row *row, struct text line);

/* Queues a command, over whatever waits, and opens its row, whose number is returned. */
uint32_t host_queue(struct host *host, const char *command, struct wall wall);
/* Takes the waiting command off the queue: NULL where none waits. Valid until the next change. */
const char *host_take(struct host *host, struct wall wall);
/* What the dashboard does for `stop`: forgets the waiting command. The agent hears nothing. */
void host_stop(struct host *host, struct wall wall);

/* A status report, validated: closes the newest open row, whichever command that was. */
void host_report(struct host *host, json_t *report, struct wall wall);
void host_progress(struct host *host, json_t *progress);

/* The row with this number, or NULL. */
const struct row *host_row(const struct host *host, uint32_t number);
bool row_is_open(const struct row *row);

/* Whether `metrics` are of the kind that would break the real page for the whole fleet. */
bool host_metrics_harmful(const struct host *host);
