/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/frame_check.h"

#include <string.h>

enum kind {
	TEXT,
	WHOLE,      /* an integer */
	TRUTH,      /* a boolean */
	TEXT_NULL,  /* a text or null */
	WHOLE_NULL, /* an integer or null */
	OBJECT,
	METRICS, /* null, or numeric cpu and ram */
};

static const struct field {
	enum session_frame frame;
	const char *name;
	enum kind kind;
	const char *values; /* the legal ones, each with a space on both sides; NULL: any */
} fields[] = {
	{SESSION_REGISTER, "hostname", TEXT},
	{SESSION_REGISTER, "host_type", TEXT, " nixos macos "},
	{SESSION_REGISTER, "agent_version", TEXT},
	{SESSION_REGISTER, "os_version", TEXT},
	{SESSION_REGISTER, "nixpkgs_version", TEXT},
	{SESSION_REGISTER, "generation", TEXT},
	{SESSION_REGISTER, "theme_color", TEXT},
	{SESSION_REGISTER, "heartbeat_interval", WHOLE},
	{SESSION_REGISTER, "location", TEXT},
	{SESSION_REGISTER, "device_type", TEXT},
	{SESSION_REGISTER, "repo_url", TEXT_NULL},
	{SESSION_REGISTER, "repo_dir", TEXT_NULL},
	{SESSION_REGISTER, "source_commit", TEXT_NULL},
	{SESSION_REGISTER, "store_path", TEXT_NULL},
	{SESSION_REGISTER, "binary_hash", TEXT_NULL},
	{SESSION_HEARTBEAT, "generation", TEXT},
	{SESSION_HEARTBEAT, "nixpkgs_version", TEXT},
	{SESSION_HEARTBEAT, "pending_command", TEXT_NULL},
	{SESSION_HEARTBEAT, "command_pid", WHOLE_NULL},
	{SESSION_HEARTBEAT, "metrics", METRICS},
	{SESSION_HEARTBEAT, "update_status", OBJECT},
	{SESSION_HEARTBEAT, "source_commit", TEXT_NULL},
	{SESSION_HEARTBEAT, "store_path", TEXT_NULL},
	{SESSION_HEARTBEAT, "binary_hash", TEXT_NULL},
	{SESSION_HEARTBEAT, "lock_hash", TEXT_NULL},
	{SESSION_OUTPUT, "line", TEXT},
	{SESSION_OUTPUT, "stream", TEXT, " stdout stderr "},
	{SESSION_OUTPUT, "command", TEXT},
	{SESSION_OUTPUT, "is_error", TRUTH},
	{SESSION_STATUS, "status", TEXT, " ok error stopped warning "},
	{SESSION_STATUS, "command", TEXT},
	{SESSION_STATUS, "exit_code", WHOLE},
	{SESSION_STATUS, "message", TEXT},
	{SESSION_STATUS, "generation", TEXT_NULL},
	{SESSION_COMMAND_REJECTED, "reason", TEXT},
	{SESSION_COMMAND_REJECTED, "current_command", TEXT_NULL},
	{SESSION_COMMAND_REJECTED, "current_pid", WHOLE_NULL},
	{SESSION_OPERATION_PROGRESS, "progress", OBJECT},
	{SESSION_TEST_PROGRESS, "current", WHOLE},
	{SESSION_TEST_PROGRESS, "total", WHOLE},
	{SESSION_TEST_PROGRESS, "passed", WHOLE},
	{SESSION_TEST_PROGRESS, "running", TRUTH},
	{SESSION_TEST_PROGRESS, "result", TEXT_NULL},
};

#define COMPARTMENT_VALUES " ok outdated error unknown working "
#define PROGRESS_VALUES    " pending in_progress complete error "

static bool is_one_of(const char *value, const char *values)
{
	char padded[64];
	size_t size = strlen(value);
	if (size + 3 > sizeof(padded))
		return false;
	padded[0] = ' ';
	memcpy(padded + 1, value, size);
	memcpy(padded + 1 + size, " ", 2);
	return strstr(values, padded) != NULL;
}

static bool metrics_legal(const json_t *value)
{
	return json_is_null(value) || (json_is_number(json_object_get(value, "cpu")) &&
					      json_is_number(json_object_get(value, "ram")));
}

static bool kind_fits(enum kind kind, const json_t *value)
{
	switch (kind) {
	case TEXT: return json_is_string(value);
	case WHOLE: return json_is_integer(value);
	case TRUTH: return json_is_boolean(value);
	case TEXT_NULL: return json_is_string(value) || json_is_null(value);
	case WHOLE_NULL: return json_is_integer(value) || json_is_null(value);
	case OBJECT: return json_is_object(value);
	case METRICS: return metrics_legal(value);
	}
	return false;
}

static void check_compartments(struct session *session, const json_t *payload)
{
	static const char *const names[] = {"git", "lock", "system", "tests"};
	const json_t *all = json_object_get(payload, "update_status");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *one = json_object_get(all, names[i]);
		const char *status = json_string_value(json_object_get(one, "status"));
		if (!status || !is_one_of(status, COMPARTMENT_VALUES))
			session_violation(
				session, "heartbeat: update_status.%s.status is illegal", names[i]);
	}
}

static void check_progress(struct session *session, const json_t *payload)
{
	const char *name;
	json_t *one;
	json_object_foreach(json_object_get(payload, "progress"), name, one)
	{
		const char *status = json_string_value(json_object_get(one, "status"));
		json_int_t current = json_integer_value(json_object_get(one, "current"));
		json_int_t total = json_integer_value(json_object_get(one, "total"));
		if (!is_one_of(name, " pull lock system tests "))
			session_violation(session, "operation_progress: %.32s is no part", name);
		if (!status || !is_one_of(status, PROGRESS_VALUES))
			session_violation(
				session, "operation_progress: %.32s.status is illegal", name);
		if (current < 0 || current > total)
			session_violation(
				session, "operation_progress: %.32s is past its total", name);
	}
}

void frame_check(struct session *session, enum session_frame frame, const json_t *payload)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *field = &fields[i];
		const json_t *value = field->frame == frame ? json_object_get(payload, field->name)
							    : NULL;
		if (field->frame != frame)
			continue;
		if (!value)
			session_violation(
				session, "%s: no %s", session_frame_name(frame), field->name);
		else if (!kind_fits(field->kind, value))
			session_violation(session, "%s: %s has another type",
				session_frame_name(frame), field->name);
		else if (field->values && !is_one_of(json_string_value(value), field->values))
			session_violation(session, "%s: %s is illegal: %.40s",
				session_frame_name(frame), field->name, json_string_value(value));
	}
	if (frame == SESSION_HEARTBEAT)
		check_compartments(session, payload);
	if (frame == SESSION_OPERATION_PROGRESS)
		check_progress(session, payload);
}
