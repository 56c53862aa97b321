/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The bodies of requests, within the dashboard's limits: what it would object to is cut or mapped
 * to something legal, and said once per field.
 */
#pragma once

#include "worker/core/action.h"
#include "worker/facts.h"
#include "worker/host.h"

#define OUTPUT_CHARS_MAX      10000
#define COMMENT_CHARS_MAX     200
#define TEST_STATUS_CHARS_MAX 100

#define PAYLOAD_FIELD_CHARS 200
#define PAYLOAD_FIELD_BYTES (4 * PAYLOAD_FIELD_CHARS + 1)

struct json_t;

/* Which fields were complained about already. */
struct payload {
	uint32_t warned;
};

/* The path's part of the host: lower-case and in the pattern the dashboard demands. to holds
 * HOST_BYTES_MAX + 1. */
void payload_host_id(const char *host, char *to);

/* All replace what to holds. 0, or -1 with errno. */
int payload_heartbeat(struct payload *payload, const struct host *host, const struct facts *facts,
	const struct agent_action_heartbeat *heartbeat, struct bytes *to);
/* output: already plain text. */
int payload_status(const struct agent_action_status *status, struct text output, struct bytes *to);

struct payload_counts {
	uint64_t current;
	uint64_t total;
	uint64_t passed;
	const char *stage;
};
int payload_progress(const struct agent_action_progress *progress,
	const struct payload_counts *counts, struct bytes *to);

/* Whether the dashboard is told ok. */
bool payload_is_ok(uint64_t outcome, int64_t code);
/* `switch: no space left`: begins with the command, never empty. to holds 4 * COMMENT_CHARS_MAX
 * + 1. */
void payload_comment(const struct agent_action_status *status, char *to);

/* The pieces, which the messages of the WebSocket protocol share. */
/* A field's text as its row of the table allows it; to holds PAYLOAD_FIELD_BYTES. */
void payload_legal(struct payload *payload, const char *name, const char *text, char *to);
/* Nothing where they are not known. */
bool payload_add_metrics(struct json_t *root, const struct facts_metrics *metrics);
/* Whole seconds, rounded up. */
bool payload_add_interval(struct json_t *root, const char *name, uint64_t interval_ms);
/* Takes root. 0, or -1 with errno. */
int payload_write(struct json_t *root, bool is_whole, struct bytes *to);
