/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/host_json.h"

#include <string.h>

static const char *const row_state_names[] = {
	[ROW_QUEUED] = "queued",
	[ROW_LOST] = "lost",
	[ROW_HANDED_OUT] = "handed out",
	[ROW_SETTLING] = "waits for a heartbeat",
	[ROW_RECONNECTING] = "waits for a reconnect",
	[ROW_CLOSED] = "closed",
};

static const char *const token_state_names[] = {
	[HOST_TOKEN_NONE] = "none",
	[HOST_TOKEN_DUE] = "due",
	[HOST_TOKEN_OWN] = "own",
	[HOST_TOKEN_ROTATED] = "rotated",
};

static json_t *wall_json(struct wall wall)
{
	return wall.ns == 0 ? json_null() : json_integer(wall_ms(wall));
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? json_string(text) : json_null();
}

static const char *tail(const char *text, size_t characters)
{
	size_t length = text ? strlen(text) : 0;

	return length > characters ? text + (length - characters) : text;
}

static json_t *row_json(const struct row *row, bool brief)
{
	const char *output = brief ? tail(row->output, HOST_JSON_BRIEF_OUTPUT) : row->output;

	json_t *json = json_pack("{s:i s:s s:s s:b s:o s:o s:o s:i s:o s:o s:o}", "number",
		(int)row->number, "command", row->command, "state", row_state_names[row->state],
		"open", row_is_open(row), "queued_at_ms", wall_json(row->queued_at),
		"handed_out_at_ms", wall_json(row->handed_out_at), "closed_at_ms",
		wall_json(row->closed_at), "received", (int)row->received, "status",
		text_or_null(row->status), "comment", text_or_null(row->comment), "output",
		output ? json_stringn_nocheck(output, strlen(output)) : json_null());
	json_t *more = json_pack("{s:o s:o s:I s:I s:I s:I s:b}", "exit_code",
		row->has_exit_code ? json_integer(row->exit_code) : json_null(), "message",
		text_or_null(row->comment), "lines", (json_int_t)row->lines, "lines_stderr",
		(json_int_t)row->lines_stderr, "lines_red", (json_int_t)row->lines_red,
		"lines_late", (json_int_t)row->lines_late, "false_success", row->false_success);

	if (json && more)
		json_object_update(json, more);
	json_decref(more);
	return json;
}

static json_t *log_json(const struct host *host, bool brief)
{
	uint32_t first = brief && host->rows_count > HOST_JSON_BRIEF_ROWS
				 ? host->rows_count - HOST_JSON_BRIEF_ROWS
				 : 0;
	json_t *log = json_array();

	for (uint32_t i = first; i < host->rows_count; i++)
		json_array_append_new(log, row_json(&host->rows[i], brief));
	return log;
}

static int open_rows(const struct host *host)
{
	int count = 0;

	for (uint32_t i = 0; i < host->rows_count; i++)
		count += row_is_open(&host->rows[i]);
	return count;
}

static json_t *violations_json(const struct session *session)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < SESSION_VIOLATIONS_MAX && i < session->violation_count; i++)
		json_array_append_new(list, json_string(session->violations[i]));
	return list;
}

static json_t *counts_json(const struct session *session)
{
	json_t *counts = json_pack("{s:I s:I s:I s:I}", "ignored", (json_int_t)session->ignored,
		"ping", (json_int_t)session->pings, "pong", (json_int_t)session->pongs, "evicted",
		(json_int_t)session->evicted);

	for (enum session_frame frame = 0; frame < SESSION_FRAME_COUNT; frame++)
		json_object_set_new(counts, session_frame_name(frame),
			json_integer((json_int_t)session->counts[frame]));
	return counts;
}

/* What there is of a host over WebSocket. */
static json_t *session_json(const struct host *host)
{
	const struct session *session = &host->session;
	const struct row *tracked = session->tracked ? host_row(host, session->tracked) : NULL;

	return json_pack("{s:s s:I s:o s:o s:o s:O? s:O? s:O? s:o s:I}", "protocol",
		host->protocol == HOST_WEBSOCKET ? "websocket" : "http", "connection",
		(json_int_t)session->connection, "tracked",
		text_or_null(tracked ? tracked->command : NULL), "violations",
		violations_json(session), "counts", counts_json(session), "heartbeat",
		session->heartbeat, "compartments",
		json_object_get(session->heartbeat, "update_status"), "progress", session->progress,
		"first_heartbeat_ms",
		session->first_heartbeat_ms < 0
			? json_null()
			: json_integer((json_int_t)session->first_heartbeat_ms),
		"violation_count", (json_int_t)session->violation_count);
}

json_t *host_json(const struct host *host, bool brief, struct mono now)
{
	const struct row *queued = host->queued ? host_row(host, host->queued) : NULL;
	json_t *json = json_pack("{s:s s:I s:b s:b s:o s:o s:O? s:s}", "id", host->id,
		"registrations", (json_int_t)host->registrations, "never_seen", !host->seen,
		"online", host_online(host, now), "last_seen_ms", wall_json(host->last_seen_wall),
		"last_seen_ms_ago",
		host->seen ? json_integer((json_int_t)mono_ms_since(now, host->last_seen))
			   : json_null(),
		"record", host->record, "criticality", host->criticality);
	json_t *work = json_pack("{s:o s:o s:s s:o s:s? s:b s:O? s:I s:I s:I s:i s:o s:s s:b}",
		"queued", text_or_null(queued ? queued->command : NULL), "pending_command",
		text_or_null(host->pending), "status", host->status, "comment",
		text_or_null(host->comment), "test_status", host->test_status, "test_running",
		host->test_running, "test_progress", host->progress, "test_progress_count",
		(json_int_t)host->progress_count, "reports", (json_int_t)host->reports,
		"reports_without_row", (json_int_t)host->reports_without_row, "open_rows",
		open_rows(host), "log", log_json(host, brief), "token",
		token_state_names[host->token_state], "metrics_harmful",
		host_metrics_harmful(host));

	json_t *session = session_json(host);

	if (json && work)
		json_object_update(json, work);
	if (json && session)
		json_object_update(json, session);
	json_decref(work);
	json_decref(session);
	return json;
}
