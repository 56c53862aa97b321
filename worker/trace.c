/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/terms.h"

struct word {
	const char *field;
	uint64_t number;
	const char *text;
};

static const struct word words[] = {
#define X(NAME, id, text) {"token", id, text},
	TOKENS(X)
#undef X
#define X(NAME, id, text) {"result", id, text},
		ANSWERS(X)
#undef X
#define X(NAME, id, text) {"outcome", id, text},
			OUTCOMES(X)
#undef X
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static const char *find_word(const char *field, uint64_t number)
{
	for (size_t i = 0; i < WORD_COUNT; i++) {
		if (words[i].number == number && strcmp(words[i].field, field) == 0)
			return words[i].text;
	}
	return NULL;
}

bool trace_number(const char *field, struct text word, uint64_t *number)
{
	for (size_t i = 0; i < WORD_COUNT; i++) {
		if (strcmp(words[i].field, field) == 0 && text_is(word, words[i].text)) {
			*number = words[i].number;
			return true;
		}
	}
	return false;
}

static bool is_plain(struct text text)
{
	for (uint32_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		if (!isascii(byte) || (!isalnum(byte) && !strchr("-_./:+", byte)))
			return false;
	}
	return true;
}

static void add_text(struct bytes *to, struct text text)
{
	if (is_plain(text)) {
		bytes_append(to, text.data, text.size);
		return;
	}
	bytes_append_text(to, "\"");
	for (uint32_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\')
			bytes_printf(to, "\\x%02x", byte);
		else
			bytes_append(to, &byte, 1);
	}
	bytes_append_text(to, "\"");
}

static void add_uint(struct bytes *to, const char *name, uint64_t number)
{
	const char *word = find_word(name, number);
	if (number == 0)
		return;
	if (word && strchr(word, ' '))
		bytes_printf(to, " %s=\"%s\"", name, word);
	else if (word)
		bytes_printf(to, " %s=%s", name, word);
	else
		bytes_printf(to, " %s=%" PRIu64, name, number);
}

static void add_field(struct bytes *to, const struct schema_field *field, const void *value)
{
	const char *at = (const char *)value + field->offset;
	uint64_t number;
	int64_t integer;
	bool flag;
	struct text text;
	switch (field->kind) {
	case SCHEMA_UINT:
		memcpy(&number, at, sizeof(number));
		add_uint(to, field->name, number);
		return;
	case SCHEMA_INT:
		memcpy(&integer, at, sizeof(integer));
		if (integer != 0)
			bytes_printf(to, " %s=%" PRId64, field->name, integer);
		return;
	case SCHEMA_BOOL:
		memcpy(&flag, at, sizeof(flag));
		if (flag)
			bytes_printf(to, " %s", field->name);
		return;
	case SCHEMA_TEXT:
	case SCHEMA_BYTES:
		memcpy(&text, at, sizeof(text));
		if (text.size > 0) {
			bytes_printf(to, " %s=", field->name);
			add_text(to, text);
		}
		return;
	}
}

static void add_value(struct bytes *to, const struct schema *schema, uint32_t id, const void *value)
{
	const struct schema_type *type = schema_find(schema, id);
	check(type != NULL);
	bytes_append_text(to, type->name);
	for (uint32_t i = 0; i < type->field_count; i++)
		add_field(to, &type->fields[i], value);
}

void trace_event(const struct agent_event *event, struct bytes *to)
{
	add_value(to, agent_event_schema(), event->type, &event->begin);
}

void trace_actions(const struct actions *actions, struct bytes *to)
{
	for (uint32_t i = 0; i < actions->count; i++) {
		if (i > 0)
			bytes_append_text(to, "; ");
		add_value(
			to, agent_action_schema(), actions->list[i].type, &actions->list[i].begin);
	}
}
