/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/dashboard/frame_check.h"
#include "tests/dashboard/host.h"
#include "tests/dashboard/output_frame.h"

static const char *const frame_names[] = {
#define X(NAME, word) [SESSION_##NAME] = word,
	SESSION_FRAMES(X)
#undef X
};

const char *session_frame_name(enum session_frame frame)
{
	return frame_names[frame];
}

enum session_frame session_frame_find(const char *type)
{
	enum session_frame frame = 0;
	while (frame < SESSION_FRAME_COUNT && (!type || strcmp(frame_names[frame], type) != 0))
		frame++;
	return frame;
}

void session_init(struct session *session)
{
	*session = (struct session){.first_heartbeat_ms = -1};
}

void session_finish(struct session *session)
{
	for (uint32_t i = 0; i < SESSION_VIOLATIONS_MAX; i++)
		free(session->violations[i]);
	json_decref(session->heartbeat);
	json_decref(session->progress);
	session_init(session);
}

void session_violation(struct session *session, const char *format, ...)
{
	char text[SESSION_VIOLATION_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (session->violation_count < SESSION_VIOLATIONS_MAX)
		session->violations[session->violation_count] = strdup(text);
	session->violation_count++;
}

static struct row *tracked_row(struct host *host)
{
	struct session *session = &host->session;
	return session->tracked ? host_row_numbered(host, session->tracked) : NULL;
}

static bool is_kill(const char *command)
{
	return strcmp(command, "kill") == 0 || strcmp(command, "stop") == 0;
}

void session_command(struct host *host, const char *command, struct wall wall)
{
	if (is_kill(command) && host_newest_open_row(host))
		return;
	struct row *row = host_hand_out(host, command, wall);
	host->session.tracked = row->number;
	if (strcmp(command, "test") == 0)
		host->test_running = true;
}

const char *session_refusal(const struct host *host, const char *command)
{
	static const char *const never[] = {"pull-switch", "update", "refresh-all", "force-update"};
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (strcmp(command, never[i]) == 0)
			return "Command not allowed";
	}
	const struct row *row = host_row(host, host->session.tracked);
	if (row && row_is_open(row) && strcmp(command, "kill") != 0)
		return "A command is still tracked";
	return NULL;
}

/* Ends what is tracked, in the one place that forgets it. */
static void complete(struct host *host, struct row *row, const char *status, const char *comment,
	struct wall wall)
{
	char kept[HOST_COMMENT_BYTES];
	snprintf(kept, sizeof(kept), "%s", comment ? comment : "");
	row_close(row, status, kept, wall);
	snprintf(host->status, sizeof(host->status), "%s", status);
	snprintf(host->comment, sizeof(host->comment), "%s", kept);
	if (strcmp(row->command, "test") == 0)
		host->test_running = false;
	if (host->session.tracked == row->number)
		host->session.tracked = 0;
}

/* What a register means for the command that the last connection left behind. */
static void settle_after_absence(struct host *host, const struct session_message *message)
{
	struct row *row = tracked_row(host);
	bool is_switch = row && strcmp(row->command, "switch") == 0;
	bool leaves = row &&
		      (strcmp(row->command, "restart") == 0 || strcmp(row->command, "reboot") == 0);
	if (!row || !row_is_open(row) || host->registrations == 0)
		return;
	if (row->state == ROW_RECONNECTING) {
		complete(host, row, "ok", row->comment, message->wall);
	} else if (is_switch && row->state == ROW_HANDED_OUT) {
		bool late = mono_ms_since(message->now, host->session.gone_at) > SESSION_AWAY_MS;
		row->false_success = !late;
		complete(host, row, late ? "error" : "ok",
			late ? "timed out waiting for a reconnect" : "reconnected", message->wall);
	} else if (row->state == ROW_HANDED_OUT && !leaves) {
		host->session.tracked = 0; /* the late status completes it all the same */
	}
}

static void on_register(struct host *host, const struct session_message *message)
{
	struct session *session = &host->session;
	settle_after_absence(host, message);
	json_decref(host->record);
	host->record = json_deep_copy(message->payload);
	host->registrations++;
	host->protocol = HOST_WEBSOCKET;
	host->seen = true;
	session->connection = message->connection;
	session->registered_at = message->now;
	session->first_heartbeat_ms = -1;
}

static bool compartment_is_ok(const struct host *host, const char *name)
{
	const json_t *all = json_object_get(host->session.heartbeat, "update_status");
	const char *status = json_string_value(
		json_object_get(json_object_get(all, name), "status"));
	return status && strcmp(status, "ok") == 0;
}

/* The heartbeat that a command with exit 0 has waited for. */
static void settle(struct host *host, struct row *row, struct wall wall)
{
	static const struct {
		const char *command, *compartment, *comment;
	} conditions[] = {
		{"pull", "lock", "Lock status not ok after pull"},
		{"rollback", "system", "System status not ok after rollback"},
		{"bump-flake", "lock", "Lock status not ok after bump-flake"},
	};
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (strcmp(row->command, conditions[i].command) == 0 &&
			!compartment_is_ok(host, conditions[i].compartment)) {
			complete(host, row, "partial", conditions[i].comment, wall);
			return;
		}
	}
	complete(host, row, row->status, row->comment, wall);
}

static void on_heartbeat(struct host *host, const struct session_message *message)
{
	struct session *session = &host->session;
	json_decref(session->heartbeat);
	session->heartbeat = json_deep_copy(message->payload);
	if (session->first_heartbeat_ms < 0)
		session->first_heartbeat_ms = (int64_t)mono_ms_since(
			message->now, session->registered_at);
	for (uint32_t i = 0; i < host->rows_count; i++) {
		if (host->rows[i].state == ROW_SETTLING)
			settle(host, &host->rows[i], message->wall);
	}
}

static void add_output(struct host *host, const struct output_frame *frame)
{
	struct session *session = &host->session;
	char command[COMMAND_BYTES_MAX + 1];
	text_copy(frame->command, command, sizeof(command));
	struct row *row = host_row_of(host, command);
	if (!row) {
		session_violation(session, "output of %s, which was never asked for", command);
		return;
	}
	if (row->told_by != 0) {
		if (row->lines_late == 0)
			session_violation(session, "output after the status of %s", command);
		row->lines_late++;
		return;
	}
	row->lines++;
	row->lines_stderr += text_is(frame->stream, "stderr");
	row->lines_red += frame->is_error;
	row_add_line(row, frame->line);
}

/* What every frame of a host's means. */
static void heard(
	struct host *host, enum session_frame frame, const struct session_message *message)
{
	host->session.counts[frame]++;
	host->last_seen = message->now;
	host->last_seen_wall = message->wall;
}

void session_output(
	struct host *host, const struct output_frame *frame, const struct session_message *message)
{
	heard(host, SESSION_OUTPUT, message);
	add_output(host, frame);
}

static struct text text_in(const json_t *payload, const char *name)
{
	const char *value = json_string_value(json_object_get(payload, name));
	return value ? text_of(value) : TEXT_NONE;
}

static void on_output(struct host *host, const struct session_message *message)
{
	const json_t *payload = message->payload;
	if (!json_is_string(json_object_get(payload, "command")))
		return; /* frame_check has said so */
	add_output(host, &(struct output_frame){text_in(payload, "line"),
				 text_in(payload, "stream"), text_in(payload, "command"),
				 json_is_true(json_object_get(payload, "is_error"))});
}

/* A status for a command that is complete, or that nobody asked for. */
static void on_status_of_none(struct host *host, const char *command, struct row *row,
	const struct session_message *message)
{
	host->reports_without_row++;
	if (row) {
		row->received++;
		if (row->told_by == message->connection)
			session_violation(&host->session,
				"status of %.64s told twice on one connection", command);
	} else if (!is_kill(command)) {
		session_violation(
			&host->session, "status of %.64s, which was never asked for", command);
	}
}

/* Whether a command with exit 0 still waits for its heartbeat or reconnect. */
static bool something_settles(const struct host *host)
{
	for (uint32_t i = 0; i < host->rows_count; i++) {
		if (host->rows[i].state == ROW_SETTLING || host->rows[i].state == ROW_RECONNECTING)
			return true;
	}
	return false;
}

static void on_status(struct host *host, const struct session_message *message)
{
	const json_t *payload = message->payload;
	const char *command = json_string_value(json_object_get(payload, "command"));
	const char *status = json_string_value(json_object_get(payload, "status"));
	const char *text = json_string_value(json_object_get(payload, "message"));
	int64_t code = json_integer_value(json_object_get(payload, "exit_code"));
	bool went_well = code == 0;
	host->reports++;
	if (!command || !status)
		return; /* frame_check has said so */
	bool says_well = strcmp(status, "ok") == 0 || strcmp(status, "warning") == 0;
	struct row *row = host_row_of(host, command);
	if (went_well != says_well)
		session_violation(&host->session, "status %.16s of %.64s with exit code %lld",
			status, command, (long long)code);
	if (went_well && something_settles(host)) {
		session_violation(&host->session,
			"recovery: a second exit-0 status (%.64s) before the heartbeat or "
			"reconnect",
			command);
		if (row)
			row->received++;
		return;
	}
	if (!row || !row_is_open(row)) {
		on_status_of_none(host, command, row, message);
		return;
	}
	row->received++;
	row->told_by = message->connection;
	row->has_exit_code = true;
	row->exit_code = code;
	if (!went_well) {
		complete(host, row, status, text, message->wall);
		return;
	}
	row_close(row, status, text, message->wall);
	row->state = strcmp(command, "switch") == 0 ? ROW_RECONNECTING : ROW_SETTLING;
	row->closed_at = (struct wall){0};
}

/* Marks whatever is tracked as an error. */
static void on_rejected(struct host *host, const struct session_message *message)
{
	const char *current = json_string_value(
		json_object_get(message->payload, "current_command"));
	const char *reason = json_string_value(json_object_get(message->payload, "reason"));
	struct row *row = tracked_row(host);
	char comment[HOST_COMMENT_BYTES];
	if (!row || !row_is_open(row)) {
		session_violation(&host->session, "command_rejected while nothing is tracked");
		return;
	}
	snprintf(comment, sizeof(comment), "rejected: %.200s: %.64s", reason ? reason : "",
		current ? current : "");
	row->told_by = message->connection;
	complete(host, row, "error", comment, message->wall);
	struct row *running = host_newest_open_row(host);
	if (running)
		host->session.tracked = running->number;
	else
		session_violation(&host->session, "command_rejected marks the only command, %.64s",
			row->command);
}

static void on_operation_progress(struct host *host, const struct session_message *message)
{
	struct session *session = &host->session;
	json_t *parts = json_object_get(message->payload, "progress");
	if (!session->progress)
		session->progress = json_object();
	if (json_is_object(parts))
		json_object_update_new(session->progress, json_deep_copy(parts));
}

static void on_test_progress(struct host *host, const struct session_message *message)
{
	json_decref(host->progress);
	host->progress = json_deep_copy(message->payload);
	host->progress_count++;
	host->test_running = json_is_true(json_object_get(message->payload, "running"));
}

void session_receive(
	struct host *host, enum session_frame frame, const struct session_message *message)
{
	static void (*const handlers[])(struct host *, const struct session_message *) = {
		[SESSION_REGISTER] = on_register,
		[SESSION_HEARTBEAT] = on_heartbeat,
		[SESSION_OUTPUT] = on_output,
		[SESSION_STATUS] = on_status,
		[SESSION_COMMAND_REJECTED] = on_rejected,
		[SESSION_OPERATION_PROGRESS] = on_operation_progress,
		[SESSION_TEST_PROGRESS] = on_test_progress,
	};
	check(frame < SESSION_FRAME_COUNT);
	check(json_is_object(message->payload));
	heard(host, frame, message);
	frame_check(&host->session, frame, message->payload);
	handlers[frame](host, message);
}

void session_gone(struct host *host, uint64_t connection, struct mono now)
{
	if (host->session.connection != connection)
		return;
	host->session.connection = 0;
	host->session.gone_at = now;
}
