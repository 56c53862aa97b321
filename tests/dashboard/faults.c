/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/faults.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	bool act;
} kinds[] = {
#define X(NAME, word, act) [FAULT_##NAME] = {word, act},
	FAULT_KINDS(X)
#undef X
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const matches[] = {"register", "poll", "status", "test-progress", "any"};

const char *fault_name(enum fault_kind kind)
{
	return kinds[kind].word;
}

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

static bool read_match(const json_t *json, struct fault *fault)
{
	const char *match = json_string_value(json_object_get(json, "match"));
	for (size_t i = 0; match && i < sizeof(matches) / sizeof(matches[0]); i++) {
		if (strcmp(match, matches[i]) == 0) {
			snprintf(fault->match, sizeof(fault->match), "%s", match);
			return true;
		}
	}
	return false;
}

static bool read_kind(const json_t *json, struct fault *fault)
{
	const char *kind = json_string_value(json_object_get(json, "kind"));
	const json_t *act = json_object_get(json, "act");
	for (size_t i = 0; kind && i < KINDS; i++) {
		if (strcmp(kind, kinds[i].word) == 0) {
			fault->kind = (enum fault_kind)i;
			fault->act = act ? json_is_true(act) : kinds[i].act;
			return true;
		}
	}
	return false;
}

const char *faults_add(struct faults *faults, const json_t *json)
{
	struct fault fault = {0};
	json_int_t left, ms, bytes, status, retry_after;
	if (faults->count == FAULTS_MAX)
		return "too many faults";
	if (!read_match(json, &fault))
		return "match: register, poll, status, test-progress or any";
	if (!read_kind(json, &fault))
		return "kind: drop, delay, trickle, cut, code, garbage, truncated, deep, types, "
		       "html or huge";
	if (!number(json, "count", (json_int_t[]){1, FAULT_COUNT_MAX}, 1, &left))
		return "count";
	if (!number(json, "ms", (json_int_t[]){0, FAULT_MS_MAX}, 1000, &ms))
		return "ms";
	if (!number(json, "bytes", (json_int_t[]){0, FAULT_HUGE_BYTES_MAX}, 0, &bytes))
		return "bytes";
	if (!number(json, "status", (json_int_t[]){200, 599}, 500, &status))
		return "status: 200 to 599";
	if (!number(json, "retry_after", (json_int_t[]){0, 86400}, -1, &retry_after))
		return "retry_after";
	const char *body = json_string_value(json_object_get(json, "body"));
	if (body && strlen(body) >= sizeof(fault.body))
		return "body";
	snprintf(fault.body, sizeof(fault.body), "%s", body ? body : "");
	fault.left = (uint32_t)left;
	fault.ms = (uint32_t)ms;
	fault.bytes = (uint64_t)bytes;
	fault.status = (int)status;
	fault.retry_after = (int)retry_after;
	faults->list[faults->count++] = fault;
	return NULL;
}

bool faults_take(struct faults *faults, const char *request, struct fault *fault)
{
	for (uint32_t i = 0; i < faults->count; i++) {
		struct fault *at = &faults->list[i];
		if (strcmp(at->match, "any") != 0 && strcmp(at->match, request) != 0)
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
