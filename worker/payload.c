/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/payload.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "proto/base/check.h"
#include "proto/base/log.h"
#include "proto/base/url.h"
#include "worker/cleaner.h"

#define POLL_INTERVAL_MAX 3600

/* How a text is made legal. */
enum rule {
	RULE_TEXT, /* cut off at chars_max */
	RULE_HOST,
	RULE_ONE_OF, /* else the first word of legal */
	RULE_COLOR,
	RULE_COMMIT, /* else left out */
};

struct field {
	const char *name;
	enum rule rule;
	uint32_t chars_max;
	const char *legal;
};

/* The dashboard's limits, one row a field. The row's number is its bit in payload.warned. */
enum {
	FIELD_HOSTNAME,
	FIELD_HOST_TYPE,
	FIELD_LOCATION,
	FIELD_DEVICE_TYPE,
	FIELD_THEME_COLOR,
	FIELD_COMMIT,
	FIELD_CONFIG_REPO,
	FIELD_AGENT_VERSION,
	FIELD_NIXPKGS_VERSION,
	FIELD_OS_NAME,
	FIELD_OS_VERSION,
	FIELD_COUNT,
};
static const struct field fields[] = {
	[FIELD_HOSTNAME] = {"hostname", RULE_HOST, HOST_BYTES_MAX, NULL},
	[FIELD_HOST_TYPE] = {"host_type", RULE_ONE_OF, 20, "nixos macos"},
	[FIELD_LOCATION] = {"location", RULE_TEXT, 50, NULL},
	[FIELD_DEVICE_TYPE] = {"device_type", RULE_ONE_OF, 20, "server desktop laptop gaming"},
	[FIELD_THEME_COLOR] = {"theme_color", RULE_COLOR, 7, "#769ff0"},
	[FIELD_COMMIT] = {"current_generation", RULE_COMMIT, COMMIT_BYTES_MAX, NULL},
	[FIELD_CONFIG_REPO] = {"config_repo", RULE_TEXT, 200, NULL},
	[FIELD_AGENT_VERSION] = {"agent_version", RULE_TEXT, 20, NULL},
	[FIELD_NIXPKGS_VERSION] = {"nixpkgs_version", RULE_TEXT, 64, NULL},
	[FIELD_OS_NAME] = {"os_name", RULE_TEXT, 50, NULL},
	[FIELD_OS_VERSION] = {"os_version", RULE_TEXT, 50, NULL},
};
static_assert(FIELD_COUNT <= 32, "a bit for each field");

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_host_byte(char byte)
{
	return is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '-';
}

static void make_host(const char *text, char *to)
{
	uint32_t size = 0;
	/* The short name: what follows a dot is its domain. */
	text += strspn(text, "-._ ");
	if (!is_letter(*text))
		to[size++] = 'h';
	for (; *text && *text != '.' && size < HOST_BYTES_MAX; text++)
		to[size++] = is_host_byte(*text) ? *text : '-';
	to[size] = '\0';
}

void payload_host_id(const char *host, char *to)
{
	make_host(host, to);
	for (; *to; to++)
		*to = (char)tolower((unsigned char)*to);
}

static void make_one_of(const char *text, const char *legal, char *to)
{
	size_t size = strlen(text);
	size_t word = strcspn(legal, " ");
	for (const char *at = legal; *at; at += strspn(at, " ")) {
		size_t bytes = strcspn(at, " ");
		if (bytes == size && memcmp(at, text, bytes) == 0) {
			memcpy(to, text, size + 1);
			return;
		}
		at += bytes;
	}
	memcpy(to, legal, word);
	to[word] = '\0';
}

static bool is_color(const char *text)
{
	if (text[0] != '#' || strlen(text) != 7)
		return false;
	return strspn(text + 1, "0123456789abcdefABCDEF") == 6;
}

static void make_legal(const struct field *field, const char *text, char *to)
{
	switch (field->rule) {
	case RULE_TEXT:
		cleaner_line(text_of(text), field->chars_max, true, to, PAYLOAD_FIELD_BYTES);
		return;
	case RULE_HOST: make_host(text, to); return;
	case RULE_ONE_OF: make_one_of(text, field->legal, to); return;
	case RULE_COLOR: memcpy(to, is_color(text) ? text : field->legal, 8); return;
	case RULE_COMMIT: {
		size_t size = strlen(text);
		bool is_legal = size <= field->chars_max;
		for (size_t i = 0; i < size; i++)
			is_legal = is_legal && is_host_byte(text[i]);
		memcpy(to, text, is_legal ? size : 0);
		to[is_legal ? size : 0] = '\0';
		return;
	}
	}
}

static void warn_once(struct payload *payload, uint32_t number, const char *was, const char *is)
{
	uint32_t bit = UINT32_C(1) << number;
	if (payload->warned & bit)
		return;
	payload->warned |= bit;
	log_warn("%s '%s' is not legal on the dashboard: it is told '%s'", fields[number].name, was,
		is);
}

/* An empty text is left out. */
static bool add_field(struct payload *payload, json_t *root, uint32_t number, const char *text)
{
	char legal[PAYLOAD_FIELD_BYTES];
	check(number < FIELD_COUNT);
	if (!text[0])
		return true;
	make_legal(&fields[number], text, legal);
	if (strcmp(legal, text) != 0)
		warn_once(payload, number, text, legal);
	return !legal[0] || json_object_set_new(root, fields[number].name, json_string(legal)) == 0;
}

void payload_legal(struct payload *payload, const char *name, const char *text, char *to)
{
	for (uint32_t i = 0; i < FIELD_COUNT; i++) {
		if (strcmp(fields[i].name, name) != 0)
			continue;
		to[0] = '\0';
		if (text[0])
			make_legal(&fields[i], text, to);
		if (strcmp(to, text) != 0)
			warn_once(payload, i, text, to);
		return;
	}
	check(false); /* a name that is not in the table */
}

static bool add_number(json_t *root, const char *name, bool is_there, double number)
{
	/* One decimal is what people read. */
	return !is_there ||
	       json_object_set_new(root, name, json_real(round(number * 10) / 10)) == 0;
}

bool payload_add_metrics(json_t *root, const struct facts_metrics *metrics)
{
	if (!metrics->is_known)
		return true;
	json_t *object = json_object();
	bool done = add_number(object, "cpu", true, metrics->cpu) &&
		    add_number(object, "ram", true, metrics->ram) &&
		    add_number(object, "swap", metrics->has_swap, metrics->swap);
	if (done && metrics->has_load)
		done = json_object_set_new(
			       object, "load", json_real(round(metrics->load * 100) / 100)) == 0;
	return json_object_set_new(root, "metrics", object) == 0 && done;
}

bool payload_add_interval(json_t *root, const char *name, uint64_t interval_ms)
{
	uint64_t seconds = (interval_ms + 999) / 1000;
	if (seconds < 1)
		seconds = 1;
	if (seconds > POLL_INTERVAL_MAX)
		seconds = POLL_INTERVAL_MAX;
	return json_object_set_new(root, name, json_integer((json_int_t)seconds)) == 0;
}

int payload_write(json_t *root, bool is_whole, struct bytes *to)
{
	char *text = is_whole && root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(8))
				      : NULL;
	json_decref(root);
	bytes_clear(to);
	if (!text) {
		errno = ENOMEM;
		return -1;
	}
	int done = bytes_append_text(to, text);
	free(text);
	return done;
}

static bool add_facts(struct payload *payload, json_t *root, const struct facts *facts,
	const struct agent_action_heartbeat *heartbeat)
{
	char commit[COMMIT_BYTES_MAX + 1];
	char system[COMMIT_BYTES_MAX + 1];
	text_copy(heartbeat->commit, commit, sizeof(commit));
	text_copy(heartbeat->system, system, sizeof(system));
	return add_field(payload, root, FIELD_COMMIT, commit) &&
	       add_field(payload, root, FIELD_NIXPKGS_VERSION,
		       facts->system[0] ? facts->system : system) &&
	       add_field(payload, root, FIELD_OS_NAME, facts->os_name) &&
	       add_field(payload, root, FIELD_OS_VERSION, facts->os_version) &&
	       payload_add_metrics(root, &facts->metrics);
}

int payload_heartbeat(struct payload *payload, const struct host *host, const struct facts *facts,
	const struct agent_action_heartbeat *heartbeat, struct bytes *to)
{
	char repo[URL_BYTES_MAX + 1];
	char version[64];
	/* The page takes what follows the last dash for the source's hash. */
	snprintf(version, sizeof(version), "%s%s%.7s", NIXFLEET_VERSION,
		NIXFLEET_SOURCE_COMMIT[0] ? "-" : "", NIXFLEET_SOURCE_COMMIT);
	json_t *root = json_object();
	url_without_account(
		host->repo_url[0] ? host->repo_url : host->repo_dir, repo, sizeof(repo));
	bool is_whole = root && add_field(payload, root, FIELD_HOSTNAME, host->host) &&
			add_field(payload, root, FIELD_HOST_TYPE, host->host_type) &&
			add_field(payload, root, FIELD_LOCATION, host->location) &&
			add_field(payload, root, FIELD_DEVICE_TYPE, host->device_type) &&
			add_field(payload, root, FIELD_THEME_COLOR, host->theme_color) &&
			add_field(payload, root, FIELD_CONFIG_REPO, repo) &&
			add_field(payload, root, FIELD_AGENT_VERSION, version) &&
			payload_add_interval(root, "poll_interval", host->interval_ms) &&
			add_facts(payload, root, facts, heartbeat);
	return payload_write(root, is_whole, to);
}

bool payload_is_ok(uint64_t outcome, int64_t code)
{
	return outcome == OUTCOME_EXITED && code == 0;
}

void payload_comment(const struct agent_action_status *status, char *to)
{
	struct bytes line;
	char outcome[OUTCOME_TEXT_BYTES];
	bool is_ok = payload_is_ok(status->outcome, status->code);
	outcome_text(status->outcome, status->code, outcome);
	bytes_init(&line, COMMAND_BYTES_MAX + 2 * REASON_BYTES_MAX);
	bytes_printf(&line, "%.*s: ", TEXT_ARGS(status->command));
	if (status->reason.size > 0)
		bytes_append(&line, status->reason.data, status->reason.size);
	else if (status->summary.size > 0)
		bytes_append(&line, status->summary.data, status->summary.size);
	else
		bytes_append_text(&line, is_ok ? "done" : outcome);
	cleaner_line((struct text){(const char *)line.data, line.size}, COMMENT_CHARS_MAX,
		!status->minimal, to, 4 * COMMENT_CHARS_MAX + 1);
	bytes_finish(&line);
}

static bool add_test_status(json_t *root, const struct agent_action_status *status)
{
	char text[4 * TEST_STATUS_CHARS_MAX + 1];
	char outcome[OUTCOME_TEXT_BYTES];
	if (!text_is(status->command, "test"))
		return true;
	outcome_text(status->outcome, status->code, outcome);
	cleaner_line(status->summary.size ? status->summary : text_of(outcome),
		TEST_STATUS_CHARS_MAX, true, text, sizeof(text));
	return json_object_set_new(root, "test_status", json_string(text)) == 0;
}

static bool add_report(json_t *root, const struct agent_action_status *status, struct text output)
{
	char commit[COMMIT_BYTES_MAX + 1];
	struct payload quiet = {.warned = UINT32_MAX};
	text_copy(status->commit, commit, sizeof(commit));
	if (output.size > OUTPUT_CHARS_MAX) {
		output.data += output.size - OUTPUT_CHARS_MAX;
		output.size = OUTPUT_CHARS_MAX;
	}
	if (output.size == 0)
		output = TEXT_NONE; /* no output may be no address either, which is no text */
	return json_object_set_new(root, "output", json_stringn(output.data, output.size)) == 0 &&
	       add_field(&quiet, root, FIELD_COMMIT, commit) && add_test_status(root, status);
}

int payload_status(const struct agent_action_status *status, struct text output, struct bytes *to)
{
	char comment[4 * COMMENT_CHARS_MAX + 1];
	json_t *root = json_object();
	const char *word = payload_is_ok(status->outcome, status->code) ? "ok" : "error";
	payload_comment(status, comment);
	bool is_whole = root && json_object_set_new(root, "status", json_string(word)) == 0 &&
			json_object_set_new(root, "comment", json_string(comment)) == 0;
	if (is_whole && !status->minimal)
		is_whole = add_report(root, status, output);
	return payload_write(root, is_whole, to);
}

static bool add_count(json_t *root, const char *name, uint64_t count)
{
	json_int_t most = count > INT32_MAX ? INT32_MAX : (json_int_t)count;
	return json_object_set_new(root, name, json_integer(most)) == 0;
}

int payload_progress(const struct agent_action_progress *progress,
	const struct payload_counts *counts, struct bytes *to)
{
	char result[4 * TEST_STATUS_CHARS_MAX + 1];
	char comment[4 * COMMENT_CHARS_MAX + 1];
	json_t *root = json_object();
	cleaner_line(progress->summary, TEST_STATUS_CHARS_MAX, true, result, sizeof(result));
	cleaner_line(text_of(counts->stage), COMMENT_CHARS_MAX, true, comment, sizeof(comment));
	bool is_whole = root && add_count(root, "current", counts->current) &&
			add_count(root, "total", counts->total) &&
			add_count(root, "passed", counts->passed) &&
			json_object_set_new(root, "running", json_boolean(progress->running)) ==
				0 &&
			json_object_set_new(root, "result", json_string(result)) == 0 &&
			json_object_set_new(root, "comment", json_string(comment)) == 0;
	return payload_write(root, is_whole, to);
}
