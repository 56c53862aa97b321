/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/faults.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

static const struct {
	const char *word;
	bool act;
	uint32_t where;
} kinds[] = {
#define X(NAME, word, act, where) [FAULT_##NAME] = {word, act, where},
	FAULT_KINDS(X)
#undef X
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* "upgrade" is the request for a WebSocket, "connect" the moment after it was answered, "now" all
 * connections that there are; the others are requests, frames, or both. */
static const char *const matches[] = {"register", "poll", "status", "test-progress", "any",
	"upgrade", "connect", "now", "heartbeat", "output", "command_rejected",
	"operation_progress", "test_progress"};

#define BIG_FRAME_BYTES (600 * 1024)

void faults_init(struct faults *faults)
{
	faults->count = 0;
}

void faults_clear(struct faults *faults)
{
	faults->count = 0;
}

/* A whole number from min to max, or otherwise where the field is absent. */
static bool number(const json_t *json, const char *name, json_int_t bounds[2], json_int_t otherwise,
	json_int_t *value)
{
	const json_t *field = json_object_get(json, name);
	*value = field ? json_integer_value(field) : otherwise;
	return !field || (json_is_integer(field) && *value >= bounds[0] && *value <= bounds[1]);
}

/* What is hit and how often. NULL, or what is wrong. */
static const char *read_target(const json_t *json, struct fault *fault)
{
	const char *match = json_string_value(json_object_get(json, "match"));
	const char *host = json_string_value(json_object_get(json, "host"));
	json_int_t left;
	for (size_t i = 0; match && i < sizeof(matches) / sizeof(matches[0]); i++) {
		if (strcmp(match, matches[i]) == 0)
			snprintf(fault->match, sizeof(fault->match), "%s", match);
	}
	if (!*fault->match)
		return "match: register, poll, status, test-progress, any, upgrade, connect, now, "
		       "or a type of frame";
	if (host && strlen(host) >= sizeof(fault->host))
		return "host";
	snprintf(fault->host, sizeof(fault->host), "%s", host ? host : "");
	if (!number(json, "count", (json_int_t[]){1, FAULT_COUNT_MAX}, 1, &left))
		return "count";
	fault->left = (uint32_t)left;
	return NULL;
}

static bool read_kind(const json_t *json, enum fault_kind *found)
{
	const char *kind = json_string_value(json_object_get(json, "kind"));
	for (size_t i = 0; kind && i < KINDS; i++) {
		if (strcmp(kind, kinds[i].word) == 0) {
			*found = (enum fault_kind)i;
			return true;
		}
	}
	return false;
}

static const char *read_effect(const json_t *json, struct fault_effect *effect)
{
	json_int_t ms, bytes, status, code, retry_after;
	if (!read_kind(json, &effect->kind))
		return "kind: not one of those that --help names";
	if (!number(json, "ms", (json_int_t[]){0, FAULT_MS_MAX}, 1000, &ms))
		return "ms";
	if (!number(json, "bytes", (json_int_t[]){0, FAULT_HUGE_BYTES_MAX},
		    effect->kind == FAULT_BIG ? BIG_FRAME_BYTES : 0, &bytes))
		return "bytes";
	if (!number(json, "status", (json_int_t[]){200, 599}, 500, &status))
		return "status: 200 to 599";
	if (!number(json, "code", (json_int_t[]){0, 4999}, 0, &code) || (code > 0 && code < 1000))
		return "code: 0, or 1000 to 4999";
	if (!number(json, "retry_after", (json_int_t[]){0, 86400}, -1, &retry_after))
		return "retry_after";
	const char *body = json_string_value(json_object_get(json, "body"));
	if (body && strlen(body) >= sizeof(effect->body))
		return "body";
	snprintf(effect->body, sizeof(effect->body), "%s", body ? body : "");
	effect->ms = (uint32_t)ms;
	effect->bytes = (uint64_t)bytes;
	effect->status = (int)status;
	effect->code = (int)code;
	effect->retry_after = (int)retry_after;
	return NULL;
}

const char *fault_read(const json_t *json, struct fault *fault)
{
	bool several = json_is_array(json);
	size_t count = several ? json_array_size(json) : 1;
	const json_t *first = several ? json_array_get(json, 0) : json;
	const json_t *act = json_object_get(first, "act");

	*fault = (struct fault){.act = true, .where = FAULT_HTTP | FAULT_SOCKET};
	if (count == 0 || count > FAULT_EFFECTS_MAX)
		return "1 to 4 effects";
	const char *wrong = read_target(first, fault);
	for (size_t i = 0; i < count && !wrong; i++) {
		struct fault_effect *effect = &fault->effects[i];
		wrong = read_effect(several ? json_array_get(json, i) : json, effect);
		if (wrong)
			break;
		fault->act &= kinds[effect->kind].act;
		fault->where &= kinds[effect->kind].where;
	}
	if (wrong)
		return wrong;
	fault->count = (uint32_t)count;
	if (act)
		fault->act = json_is_true(act);
	return fault->where == 0 ? "these effects do not go together" : NULL;
}

const char *faults_add(struct faults *faults, const struct fault *fault)
{
	if (faults->count == FAULTS_MAX)
		return "too many faults";
	faults->list[faults->count++] = *fault;
	return NULL;
}

static bool hits(const struct fault *fault, const struct fault_target *target)
{
	if (!(fault->where & target->where))
		return false;
	if (*fault->host && (!target->host || strcmp(fault->host, target->host) != 0))
		return false;
	return strcmp(fault->match, "any") == 0 || strcmp(fault->match, target->match) == 0;
}

bool faults_take(struct faults *faults, const struct fault_target *target, struct fault *fault)
{
	for (uint32_t i = 0; i < faults->count; i++) {
		struct fault *at = &faults->list[i];
		if (!hits(at, target))
			continue;
		*fault = *at;
		if (--at->left == 0) {
			faults->count--;
			memmove(at, at + 1, (faults->count - i) * sizeof(*at));
		}
		return true;
	}
	return false;
}

const struct fault_effect *fault_effect(const struct fault *fault, enum fault_kind kind)
{
	check(fault->count <= FAULT_EFFECTS_MAX);
	for (uint32_t i = 0; i < fault->count; i++) {
		if (fault->effects[i].kind == kind)
			return &fault->effects[i];
	}
	return NULL;
}

void fault_names(const struct fault *fault, char names[FAULT_NAMES_BYTES])
{
	size_t size = 0;
	names[0] = '\0';
	for (uint32_t i = 0; i < fault->count && size < FAULT_NAMES_BYTES; i++)
		size += (size_t)snprintf(names + size, FAULT_NAMES_BYTES - size, "%s%s",
			i ? "+" : "", kinds[fault->effects[i].kind].word);
}
