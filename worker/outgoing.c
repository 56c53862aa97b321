/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "proto/base/time.h"
#include "proto/base/url.h"
#include "worker/cleaner.h"

#define GENERATION_CHARS 7
#define MESSAGE_CHARS    300
/* Where a program ended without a code of its own: as a shell says it. */
#define CODE_SIGNALED  128
#define CODE_TIMED_OUT 124
#define CODE_CANCELLED 130
#define CODE_NONE      125

static int write_message(const char *type, json_t *payload, bool is_whole, struct bytes *to)
{
	json_t *root = json_object();
	is_whole = json_object_set_new(root, "payload", payload) == 0 && is_whole;
	is_whole = json_object_set_new(root, "type", json_string(type)) == 0 && is_whole;
	return payload_write(root, is_whole, to);
}

static bool add_text(json_t *root, const char *name, const char *text)
{
	return json_object_set_new(root, name, json_string(text)) == 0;
}

/* What the configuration says may have any bytes; JSON may not. */
static bool add_place(json_t *root, const char *name, const char *text)
{
	char line[URL_BYTES_MAX + 1];
	cleaner_line(text_of(text), URL_BYTES_MAX, true, line, sizeof(line));
	return add_text(root, name, line);
}

static bool add_legal(const struct outgoing *outgoing, json_t *root, const char *name,
	const char *field, const char *text)
{
	char legal[PAYLOAD_FIELD_BYTES];
	payload_legal(outgoing->payload, field, text, legal);
	return add_text(root, name, legal);
}

static bool add_generation(json_t *root, struct text commit)
{
	char text[GENERATION_CHARS + 1];
	text_copy(commit, text, sizeof(text));
	return add_text(root, "generation", text);
}

static bool add_number(json_t *root, const char *name, uint64_t number)
{
	json_int_t most = number > INT32_MAX ? INT32_MAX : (json_int_t)number;
	return json_object_set_new(root, name, json_integer(most)) == 0;
}

static bool add_system(const struct outgoing *outgoing, json_t *root, struct text probed)
{
	char system[COMMIT_BYTES_MAX + 1];
	text_copy(probed, system, sizeof(system));
	return add_legal(outgoing, root, "nixpkgs_version", "nixpkgs_version",
		outgoing->facts->system[0] ? outgoing->facts->system : system);
}

static bool add_program(const struct outgoing *outgoing, json_t *root)
{
	return add_text(root, "source_commit", NIXFLEET_SOURCE_COMMIT) &&
	       add_text(root, "store_path", outgoing->program->store_path) &&
	       add_text(root, "binary_hash", outgoing->program->hash);
}

int outgoing_register(const struct outgoing *outgoing, const struct agent_action_announce *announce,
	struct bytes *to)
{
	char repo[URL_BYTES_MAX + 1];
	const struct host *host = outgoing->host;
	json_t *root = json_object();
	url_without_account(host->repo_url, repo, sizeof(repo));
	bool is_whole =
		add_legal(outgoing, root, "hostname", "hostname", host->host) &&
		add_legal(outgoing, root, "host_type", "host_type", host->host_type) &&
		add_text(root, "agent_version", NIXFLEET_VERSION) &&
		add_legal(
			outgoing, root, "os_version", "os_version", outgoing->facts->os_version) &&
		add_system(outgoing, root, announce->system) &&
		add_generation(root, announce->commit) &&
		add_legal(outgoing, root, "theme_color", "theme_color", host->theme_color) &&
		payload_add_interval(root, "heartbeat_interval", host->interval_ms) &&
		add_legal(outgoing, root, "location", "location", host->location) &&
		add_legal(outgoing, root, "device_type", "device_type", host->device_type) &&
		add_place(root, "repo_url", repo) && add_place(root, "repo_dir", host->repo_dir) &&
		add_program(outgoing, root);
	return write_message("register", root, is_whole, to);
}

static const char *update_word(uint64_t update)
{
	switch ((enum update)update) {
#define X(NAME, id, text) \
	case NAME: return text;
		UPDATES(X)
#undef X
	}
	return "unknown";
}

static bool add_compartment(
	json_t *all, const char *name, uint64_t status, struct text message, int64_t wall_ms)
{
	char when[WALL_TEXT_BYTES] = "";
	char words[SHORT_TEXT_BYTES_MAX * 2];
	json_t *one = json_object();
	cleaner_line(message, SHORT_TEXT_BYTES_MAX, true, words, sizeof(words));
	if (wall_ms > 0)
		wall_text((struct wall){wall_ms * (int64_t)NS_PER_MS}, when);
	return json_object_set_new(all, name, one) == 0 &&
	       add_text(one, "status", update_word(status)) && add_text(one, "message", words) &&
	       add_text(one, "checked_at", when);
}

static bool add_compartments(json_t *root, const struct agent_action_beat *beat)
{
	json_t *all = json_object();
	return json_object_set_new(root, "update_status", all) == 0 &&
	       add_compartment(
		       all, "git", beat->git_status, beat->git_message, beat->git_wall_ms) &&
	       add_compartment(
		       all, "lock", beat->lock_status, beat->lock_message, beat->lock_wall_ms) &&
	       add_compartment(all, "system", beat->system_status, beat->system_message,
		       beat->system_wall_ms) &&
	       add_compartment(
		       all, "tests", beat->tests_status, beat->tests_message, beat->tests_wall_ms);
}

static bool add_command(json_t *root, const struct agent_action_beat *beat)
{
	json_t *command = beat->command.size > 0
				  ? json_stringn(beat->command.data, beat->command.size)
				  : json_null();
	json_t *pid = beat->pid > 0 ? json_integer((json_int_t)beat->pid) : json_null();
	bool done = json_object_set_new(root, "pending_command", command) == 0;
	return json_object_set_new(root, "command_pid", pid) == 0 && done;
}

int outgoing_heartbeat(
	const struct outgoing *outgoing, const struct agent_action_beat *beat, struct bytes *to)
{
	json_t *root = json_object();
	bool is_whole = add_generation(root, beat->commit) &&
			add_system(outgoing, root, beat->system) && add_command(root, beat) &&
			json_object_set_new(root, "metrics", json_null()) == 0 &&
			payload_add_metrics(root, &outgoing->facts->metrics) &&
			add_compartments(root, beat) && add_program(outgoing, root) &&
			add_text(root, "lock_hash", outgoing->lock_hash);
	return write_message("heartbeat", root, is_whole, to);
}

static const char *status_word(const struct agent_action_report *report)
{
	if (report->outcome == OUTCOME_CANCELLED)
		return "stopped";
	return payload_is_ok(report->outcome, report->code) ? "ok" : "error";
}

/* Never 0 for what did not end with it. */
static int64_t code_of(const struct agent_action_report *report)
{
	switch ((enum outcome)report->outcome) {
	case OUTCOME_EXITED: return report->code;
	case OUTCOME_SIGNALED: return CODE_SIGNALED + report->code;
	case OUTCOME_TIMED_OUT: return CODE_TIMED_OUT;
	case OUTCOME_CANCELLED: return report->run.size > 0 ? CODE_CANCELLED : 0;
	case OUTCOME_NONE:
	case OUTCOME_REFUSED:
	case OUTCOME_INTERRUPTED:
	case OUTCOME_LOST: break;
	}
	return CODE_NONE;
}

static bool add_reason(json_t *root, const struct agent_action_report *report)
{
	char outcome[OUTCOME_TEXT_BYTES];
	char words[4 * MESSAGE_CHARS + 1];
	struct text said = report->reason.size ? report->reason : report->summary;
	outcome_text(report->outcome, report->code, outcome);
	if (said.size == 0)
		said = payload_is_ok(report->outcome, report->code) ? text_of("done")
								    : text_of(outcome);
	cleaner_line(said, MESSAGE_CHARS, true, words, sizeof(words));
	return add_text(root, "message", words);
}

int outgoing_status(const struct agent_action_report *report, struct bytes *to)
{
	json_t *root = json_object();
	bool is_whole = add_text(root, "status", status_word(report)) &&
			json_object_set_new(root, "command",
				json_stringn(report->command.data, report->command.size)) == 0 &&
			json_object_set_new(root, "exit_code", json_integer(code_of(report))) ==
				0 &&
			add_reason(root, report) && add_generation(root, report->commit);
	return write_message("status", root, is_whole, to);
}

int outgoing_rejected(const struct agent_action_reject *reject, struct bytes *to)
{
	json_t *root = json_object();
	bool is_whole = add_text(root, "reason", "command already running") &&
			json_object_set_new(root, "current_command",
				json_stringn(reject->command.data, reject->command.size)) == 0 &&
			add_number(root, "current_pid", reject->pid);
	return write_message("command_rejected", root, is_whole, to);
}

static const char *stage_status_word(uint64_t status)
{
	static const char *const words[] = {
#define X(NAME, id, text) text,
		STAGE_STATUSES(X)
#undef X
	};
	return status <= STAGE_ERROR ? words[status] : words[STAGE_PENDING];
}

static int write_progress(
	const char *kind, json_t *one, uint64_t status, bool is_whole, struct bytes *to)
{
	json_t *root = json_object(), *progress = json_object();
	is_whole = json_object_set_new(root, "progress", progress) == 0 && is_whole;
	is_whole = json_object_set_new(progress, kind, one) == 0 && is_whole;
	is_whole = is_whole && add_text(one, "status", stage_status_word(status));
	return write_message("operation_progress", root, is_whole, to);
}

int outgoing_stage(const struct agent_action_stage *stage, struct bytes *to)
{
	static const char *const kinds[] = {
#define X(NAME, id, text) text,
		STAGE_KINDS(X)
#undef X
	};
	json_t *one = json_object();
	bool is_whole = add_number(one, "current", stage->current) &&
			add_number(one, "total", stage->total);
	return write_progress(kinds[stage->kind], one, stage->status, is_whole, to);
}

int outgoing_tests_stage(const struct agent_action_tests *tests, struct bytes *to)
{
	json_t *one = json_object(), *results = json_array();
	bool is_whole = json_object_set_new(one, "results", results) == 0 &&
			add_number(one, "current", tests->current) &&
			add_number(one, "total", tests->total);
	for (uint32_t i = 0; is_whole && i < tests->marks.size; i++)
		is_whole = json_array_append_new(results,
				   json_string(tests->marks.data[i] == 'p' ? "pass" : "fail")) == 0;
	return write_progress("tests", one, tests->status, is_whole, to);
}

int outgoing_tests(const struct agent_action_tests *tests, struct bytes *to)
{
	char summary[4 * TEST_STATUS_CHARS_MAX + 1];
	json_t *root = json_object();
	cleaner_line(tests->summary, TEST_STATUS_CHARS_MAX, true, summary, sizeof(summary));
	bool is_running = tests->status == STAGE_IN_PROGRESS;
	bool is_whole = add_number(root, "current", tests->current) &&
			add_number(root, "total", tests->total) &&
			add_number(root, "passed", tests->passed) &&
			json_object_set_new(root, "running", json_boolean(is_running)) == 0 &&
			add_text(root, "result", summary);
	return write_message("test_progress", root, is_whole, to);
}

/* ---- lines ---- */

/* The bytes of one whole UTF-8 character at at; 0: it is none. */
static uint32_t character(const uint8_t *at, uint32_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t size = *at >= 0xf0 && *at <= 0xf4  ? 4
			: *at >= 0xe0 && *at < 0xf0 ? 3
			: *at >= 0xc2 && *at < 0xe0 ? 2
						    : 0;
	if (size == 0 || size > left)
		return 0;
	uint32_t point = *at & (0xffu >> (size + 1));
	for (uint32_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	bool is_good = point >= least[size] && point <= 0x10ffff &&
		       (point < 0xd800 || point > 0xdfff);
	return is_good ? size : 0;
}

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static uint32_t put_special(const uint8_t *at, uint32_t left, char *to, uint32_t *size)
{
	if (*at == '"' || *at == '\\') {
		*size = (uint32_t)snprintf(to, 8, "\\%c", *at);
		return 1;
	}
	if (*at != 0 && *at < 0x80) {
		*size = (uint32_t)snprintf(to, 8, "\\u%04x", *at);
		return 1;
	}
	/* A NUL is legal JSON, and what some readers stop at. */
	uint32_t bytes = *at == 0 ? 0 : character(at, left);
	*size = bytes ? bytes : 3;
	memcpy(to, bytes ? (const char *)at : "\xef\xbf\xbd", *size); /* U+FFFD */
	return bytes ? bytes : 1;
}

static void put(char **to, const char *text)
{
	size_t size = strlen(text);
	memcpy(*to, text, size);
	*to += size;
}

int outgoing_line(
	struct text line, const char *stream, const char *command, bool is_error, struct bytes *to)
{
	const uint8_t *from = (const uint8_t *)line.data;
	const uint8_t *end = from + line.size;
	bytes_clear(to);
	/* Six bytes a byte at the most, and what stands around it. */
	char *start = (char *)bytes_reserve(to, line.size * 6 + COMMAND_BYTES_MAX * 2 + 128);
	char *at = start;
	if (!start)
		return -1;
	put(&at, "{\"type\":\"output\",\"payload\":{\"line\":\"");
	while (from < end) {
		uint32_t size;
		if (is_plain(*from)) {
			*at++ = (char)*from++;
			continue;
		}
		from += put_special(from, (uint32_t)(end - from), at, &size);
		at += size;
	}
	put(&at, "\",\"stream\":\"");
	put(&at, stream);
	put(&at, "\",\"command\":\"");
	put(&at, command);
	put(&at, is_error ? "\",\"is_error\":true}}" : "\",\"is_error\":false}}");
	bytes_grew(to, (uint32_t)(at - start));
	return 0;
}
