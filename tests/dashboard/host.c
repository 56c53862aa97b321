/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

static void copy_text(char *to, size_t room, const char *from)
{
	size_t length = from ? strnlen(from, room - 1) : 0;

	if (length > 0)
		memcpy(to, from, length);
	to[length] = '\0';
}

static void row_finish(struct row *row)
{
	free(row->output);
	row->output = NULL;
}

bool row_is_open(const struct row *row)
{
	return row->state != ROW_CLOSED;
}

void host_init(struct host *host, const char *id)
{
	memset(host, 0, sizeof(*host));
	copy_text(host->id, sizeof(host->id), id);
	copy_text(host->status, sizeof(host->status), "unknown");
	session_init(&host->session);
}

void host_finish(struct host *host)
{
	for (uint32_t i = 0; i < host->rows_count; i++)
		row_finish(&host->rows[i]);
	free(host->test_status);
	session_finish(&host->session);
	json_decref(host->record);
	json_decref(host->progress);
	memset(host, 0, sizeof(*host));
}

void host_register(struct host *host, json_t *record, struct mono now, struct wall wall)
{
	const char *criticality = json_string_value(json_object_get(record, "criticality"));

	check(json_is_object(record));
	/* Only the first insert's criticality counts. */
	if (host->registrations == 0)
		copy_text(host->criticality, sizeof(host->criticality),
			criticality ? criticality : "low");
	json_decref(host->record);
	host->record = json_incref(record);
	host->registrations++;
	host->protocol = HOST_HTTP;
	if (host->registrations == 1)
		return;
	host->seen = true;
	host_seen(host, now, wall);
}

void host_seen(struct host *host, struct mono now, struct wall wall)
{
	if (!host->seen)
		return;
	host->last_seen = now;
	host->last_seen_wall = wall;
}

bool host_online(const struct host *host, struct mono now)
{
	if (host->protocol == HOST_WEBSOCKET)
		return host->session.connection != 0;
	return host->seen && mono_ms_since(now, host->last_seen) < HOST_OFFLINE_MS;
}

struct row *host_row_numbered(struct host *host, uint32_t number)
{
	for (uint32_t i = 0; i < host->rows_count; i++)
		if (host->rows[i].number == number)
			return &host->rows[i];
	return NULL;
}

const struct row *host_row(const struct host *host, uint32_t number)
{
	for (uint32_t i = 0; i < host->rows_count; i++)
		if (host->rows[i].number == number)
			return &host->rows[i];
	return NULL;
}

struct row *host_newest_open_row(struct host *host)
{
	for (uint32_t i = host->rows_count; i > 0; i--)
		if (row_is_open(&host->rows[i - 1]))
			return &host->rows[i - 1];
	return NULL;
}

static struct row *row_add(struct host *host)
{
	struct row *row;

	if (host->rows_count == HOST_ROWS_MAX) {
		row_finish(&host->rows[0]);
		memmove(&host->rows[0], &host->rows[1],
			(HOST_ROWS_MAX - 1) * sizeof(host->rows[0]));
		host->rows_count--;
	}
	row = &host->rows[host->rows_count++];
	memset(row, 0, sizeof(*row));
	row->number = ++host->rows_made;
	return row;
}

struct row *host_hand_out(struct host *host, const char *command, struct wall wall)
{
	struct row *row = row_add(host);

	row->state = ROW_HANDED_OUT;
	row->queued_at = row->handed_out_at = wall;
	copy_text(row->command, sizeof(row->command), command);
	return row;
}

struct row *host_row_of(struct host *host, const char *command)
{
	for (uint32_t i = host->rows_count; i > 0; i--)
		if (strcmp(host->rows[i - 1].command, command) == 0)
			return &host->rows[i - 1];
	return NULL;
}

void row_close(struct row *row, const char *status, const char *comment, struct wall wall)
{
	row->state = ROW_CLOSED;
	row->closed_at = wall;
	copy_text(row->status, sizeof(row->status), status);
	copy_text(row->comment, sizeof(row->comment), comment);
}

void row_add_line(struct row *row, struct text line)
{
	uint32_t size = line.size;

	if (!row->output) {
		row->output = calloc(1, 2 * HOST_TAIL_BYTES + 2);
		check(row->output != NULL);
	}
	if (size > HOST_TAIL_BYTES) {
		line.data += size - HOST_TAIL_BYTES;
		size = HOST_TAIL_BYTES;
	}
	if (row->output_size + size + 1 > 2 * HOST_TAIL_BYTES) {
		uint32_t drop = row->output_size - HOST_TAIL_BYTES;
		if (row->output_size <= HOST_TAIL_BYTES)
			drop = 0;
		memmove(row->output, row->output + drop, row->output_size - drop);
		row->output_size -= drop;
	}
	if (row->output_size + size + 1 > 2 * HOST_TAIL_BYTES)
		row->output_size = 0;
	memcpy(row->output + row->output_size, line.data, size);
	row->output_size += (uint32_t)size;
	row->output[row->output_size++] = '\n';
	row->output[row->output_size] = '\0';
}

/* Empties the queue; the row of what waited, if it is still known, gets the state. */
static void queue_clear(struct host *host, enum row_state state)
{
	struct row *row = host->queued ? host_row_numbered(host, host->queued) : NULL;

	host->queued = 0;
	if (row && row->state == ROW_QUEUED)
		row->state = state;
}

uint32_t host_queue(struct host *host, const char *command, struct wall wall)
{
	struct row *row;

	queue_clear(host, ROW_LOST);
	row = row_add(host);
	row->state = ROW_QUEUED;
	row->queued_at = wall;
	copy_text(row->command, sizeof(row->command), command);
	host->queued = row->number;
	return row->number;
}

const char *host_take(struct host *host, struct wall wall)
{
	struct row *row = host->queued ? host_row_numbered(host, host->queued) : NULL;

	host->queued = 0;
	if (!row)
		return NULL;
	row->handed_out_at = wall;
	/* A foreign report may have closed the row while its command still waited. */
	if (row->state == ROW_QUEUED)
		row->state = ROW_HANDED_OUT;
	if (strcmp(row->command, "test") == 0)
		host->test_running = true;
	return row->command;
}

void host_stop(struct host *host, struct wall wall)
{
	struct row *row = host->queued ? host_row_numbered(host, host->queued) : NULL;

	queue_clear(host, ROW_CLOSED);
	if (!row)
		return;
	row->closed_at = wall;
	copy_text(row->status, sizeof(row->status), "stopped");
}

/* What the server keeps of an output: newlines and printable ASCII. */
static char *clean_output(const json_t *text)
{
	const char *from = json_string_value(text);
	size_t length = from ? json_string_length(text) : 0;
	char *to = from ? malloc(length + 1) : NULL;
	size_t kept = 0;

	if (!to)
		return NULL;
	for (size_t i = 0; i < length; i++)
		if (from[i] == '\n' || (from[i] >= ' ' && from[i] <= '~'))
			to[kept++] = from[i];
	to[kept] = '\0';
	return to;
}

/* The text people see: a given comment; for an error without one the first line of its output. */
static void comment_keep(struct host *host, const char *comment, bool failed, const char *output)
{
	size_t line;

	if (comment) {
		copy_text(host->comment, sizeof(host->comment), comment);
		return;
	}
	if (!failed || !output)
		return;
	line = strcspn(output, "\n");
	if (line > HOST_FALLBACK_COMMENT_MAX)
		line = HOST_FALLBACK_COMMENT_MAX;
	copy_text(host->comment, line + 1, output);
}

void host_report(struct host *host, json_t *report, struct wall wall)
{
	const char *status = json_string_value(json_object_get(report, "status"));
	const char *comment = json_string_value(json_object_get(report, "comment"));
	const char *tests = json_string_value(json_object_get(report, "test_status"));
	json_t *generation = json_object_get(report, "current_generation");
	char *output = clean_output(json_object_get(report, "output"));
	struct row *row = host_newest_open_row(host);

	check(status != NULL);
	host->reports++;
	copy_text(host->status, sizeof(host->status), status);
	comment_keep(host, comment, strcmp(status, "error") == 0, output);
	if (tests) {
		free(host->test_status);
		host->test_status = strdup(tests);
	}
	if (json_is_string(generation) && host->record)
		json_object_set(host->record, "current_generation", generation);
	if (!row) {
		host->reports_without_row++;
		free(output);
		return;
	}
	row->state = ROW_CLOSED;
	row->closed_at = wall;
	row->received++;
	copy_text(row->status, sizeof(row->status), status);
	copy_text(row->comment, sizeof(row->comment), comment);
	free(row->output);
	row->output = output;
}

void host_progress(struct host *host, json_t *progress)
{
	bool running = json_is_true(json_object_get(progress, "running"));
	const char *comment = json_string_value(json_object_get(progress, "comment"));

	json_decref(host->progress);
	host->progress = json_incref(progress);
	host->progress_count++;
	host->test_running = running;
	if (comment)
		copy_text(host->comment, sizeof(host->comment), comment);
	if (!running)
		queue_clear(host, ROW_LOST);
}

bool host_metrics_harmful(const struct host *host)
{
	const json_t *metrics = json_object_get(host->record, "metrics");

	if (!metrics)
		return false;
	return !json_is_number(json_object_get(metrics, "cpu")) ||
	       !json_is_number(json_object_get(metrics, "ram"));
}
