/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Runs the worker's core over golden traces: a line is a time and an event, and behind the arrow
 * what the core must want. `trace_agent FILE…` compares and prints TAP; `--update` writes what the
 * core wants now into the files, to be read before it is committed.
 *
 *   limits interval_ms=30000 spread_ms=5000 seed=7 has_shared_token
 *   [     0] open -> look id=1
 *   [     0] looked id=1 commit=abc -> heartbeat id=1 token=shared commit=abc (due 5000)
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "worker/core/agent.h"
#include "worker/trace.h"

#define LINE_BYTES_MAX 4096

struct run {
	const char *path;
	uint32_t number; /* of the line */
	bool is_begun;
	struct agent agent;
	struct bytes line;     /* as it must be */
	struct bytes reported; /* the whole file as it must be */
	uint32_t wrong;
};

static void complain(struct run *run, const char *what, const char *about)
{
	printf("# %s:%u: %s %s\n", run->path, run->number, what, about);
	run->wrong++;
}

/* Takes one word: up to a space, a quoted text as one. The escapes are undone in place. */
static struct text take_word(char **at)
{
	char *from = *at + strspn(*at, " ");
	char *to = from;
	char *start = from;
	bool is_quoted = false;
	for (; *from && (is_quoted || *from != ' '); from++) {
		unsigned code;
		if (*from == '"')
			is_quoted = !is_quoted;
		else if (*from == '\\' && sscanf(from, "\\x%2x", &code) == 1) {
			*to++ = (char)code;
			from += 3;
		} else
			*to++ = *from;
	}
	*at = from;
	return (struct text){start, (uint32_t)(to - start)};
}

static bool set_field(const struct schema_field *field, struct text value, void *to)
{
	char *at = (char *)to + field->offset;
	char digits[32];
	uint64_t number = 0;
	int64_t integer = 0;
	bool flag = true;
	text_copy(value, digits, sizeof(digits));
	switch (field->kind) {
	case SCHEMA_UINT:
		if (!trace_number(field->name, value, &number))
			number = strtoull(digits, NULL, 10);
		memcpy(at, &number, sizeof(number));
		return isdigit((unsigned char)digits[0]) || number > 0;
	case SCHEMA_INT:
		integer = strtoll(digits, NULL, 10);
		memcpy(at, &integer, sizeof(integer));
		return true;
	case SCHEMA_BOOL: memcpy(at, &flag, sizeof(flag)); return true;
	case SCHEMA_TEXT:
	case SCHEMA_BYTES: memcpy(at, &value, sizeof(value)); return true;
	}
	return false;
}

static bool set_word(const struct schema_type *type, struct text word, void *to)
{
	const char *equals = memchr(word.data, '=', word.size);
	uint32_t name = equals ? (uint32_t)(equals - word.data) : word.size;
	struct text value = equals ? (struct text){equals + 1, word.size - name - 1} : TEXT_NONE;
	for (uint32_t i = 0; i < type->field_count; i++) {
		if (text_is((struct text){word.data, name}, type->fields[i].name))
			return set_field(&type->fields[i], value, to);
	}
	return false;
}

static bool read_event(struct run *run, char *text, struct agent_event *event)
{
	const struct schema *schema = agent_event_schema();
	struct text name = take_word(&text);
	*event = (struct agent_event){0};
	for (uint32_t i = 0; i < schema->type_count; i++) {
		const struct schema_type *type = &schema->types[i];
		if (!text_is(name, type->name))
			continue;
		event->type = type->id;
		while (text[strspn(text, " ")]) {
			struct text word = take_word(&text);
			if (!set_word(type, word, &event->begin)) {
				complain(run, "no such field:", word.data);
				return false;
			}
		}
		return true;
	}
	complain(run, "no such event:", name.data);
	return false;
}

static void begin(struct run *run, char *text)
{
	struct agent_limits limits = {.protocol = PROTOCOL_HTTP, .interval_ms = 30000};
	while (text[strspn(text, " ")]) {
		struct text word = take_word(&text);
		char copy[64];
		text_copy(word, copy, sizeof(copy));
		sscanf(copy, "interval_ms=%" SCNu64, &limits.interval_ms);
		sscanf(copy, "spread_ms=%" SCNu64, &limits.spread_ms);
		sscanf(copy, "seed=%" SCNu64, &limits.seed);
		if (text_is(word, "websocket"))
			limits.protocol = PROTOCOL_WEBSOCKET;
		limits.has_own_token = limits.has_own_token || text_is(word, "has_own_token");
		limits.has_shared_token = limits.has_shared_token ||
					  text_is(word, "has_shared_token");
	}
	agent_init(&run->agent, &limits);
	run->is_begun = true;
}

static void step(struct run *run, uint64_t ms, char *text, const char *original)
{
	struct agent_event event;
	struct actions actions;
	struct mono now = {ms * NS_PER_MS};
	struct mono due = agent_due(&run->agent);
	if (!read_event(run, text, &event))
		return;
	if (event.type == EVENT_DUE && !mono_reached(now, due))
		complain(run, "nothing is due at", original);
	agent_step(&run->agent, now, &event, &actions);
	bytes_printf(&run->line, "[%8" PRIu64 "] %s", ms, original);
	if (actions.count > 0)
		bytes_append_text(&run->line, " -> ");
	trace_actions(&actions, &run->line);
	due = agent_due(&run->agent);
	if (due.ns != MONO_NEVER.ns)
		bytes_printf(&run->line, " (due %" PRIu64 ")", due.ns / NS_PER_MS);
}

static void one_line(struct run *run, const char *text)
{
	char event[LINE_BYTES_MAX];
	char original[LINE_BYTES_MAX];
	unsigned long long ms;
	int head = 0;
	bytes_clear(&run->line);
	snprintf(event, sizeof(event), "%s", text);
	if (strncmp(text, "limits ", 7) == 0) {
		bytes_append_text(&run->line, text);
		begin(run, event + 7);
	} else if (sscanf(text, "[%llu] %n", &ms, &head) == 1 && head > 0 && run->is_begun) {
		char *end = strstr(event, " -> ");
		if (!end)
			end = strstr(event, " (due ");
		if (end)
			*end = '\0';
		snprintf(original, sizeof(original), "%s", event + head);
		step(run, ms, event + head, original);
	} else {
		bytes_append_text(&run->line, text);
		if (*text && *text != '#')
			complain(run, "not understood:", text);
	}
}

static void compare(struct run *run, const char *text)
{
	if (run->line.size == strlen(text) && memcmp(run->line.data, text, run->line.size) == 0)
		return;
	complain(run, "expected", text);
	printf("# %*s got %.*s\n", (int)strlen(run->path) + 8, "", (int)run->line.size,
		(const char *)run->line.data);
}

/* True when the file is as the core wants it. */
static bool one_file(const char *path, bool update)
{
	char text[LINE_BYTES_MAX];
	struct run run = {.path = path};
	FILE *file = fopen(path, "re");
	if (!file) {
		printf("# %s cannot be read\n", path);
		return false;
	}
	bytes_init(&run.line, LINE_BYTES_MAX);
	bytes_init(&run.reported, 1024 * 1024);
	while (fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		run.number++;
		one_line(&run, text);
		if (!update)
			compare(&run, text);
		bytes_append(&run.reported, run.line.data, run.line.size);
		bytes_append_text(&run.reported, "\n");
	}
	fclose(file);
	file = update ? fopen(path, "we") : NULL;
	if (file) {
		check(fwrite(run.reported.data, 1, run.reported.size, file) == run.reported.size);
		check(fclose(file) == 0);
	}
	bytes_finish(&run.line);
	bytes_finish(&run.reported);
	return run.wrong == 0 && run.is_begun;
}

int main(int count, char **arguments)
{
	bool update = count > 1 && strcmp(arguments[1], "--update") == 0;
	int first = update ? 2 : 1;
	int failed = 0;
	printf("1..%d\n", count - first);
	for (int i = first; i < count; i++) {
		bool is_good = one_file(arguments[i], update);
		const char *name = strrchr(arguments[i], '/');
		failed += !is_good;
		printf("%s %d - %s\n", is_good ? "ok" : "not ok", i - first + 1,
			name ? name + 1 : arguments[i]);
	}
	return failed > 0;
}
