/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/fields.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum kind {
	KIND_TEXT,       /* min characters is 0 */
	KIND_ONE_OF,     /* a word of choices */
	KIND_HOST,       /* a host name */
	KIND_COLOR,      /* #rrggbb */
	KIND_GENERATION, /* letters, digits and dashes, at least one */
	KIND_INTEGER,
	KIND_BOOL,
	KIND_OBJECT,
};

struct field {
	enum fields_body body;
	const char *name;
	bool required;
	enum kind kind;
	const char *choices; /* words between bars */
	json_int_t min;
	json_int_t max; /* characters of a text */
};

#define TEXT(limit)       .kind = KIND_TEXT, .max = (limit)
#define ONE_OF(words)     .kind = KIND_ONE_OF, .choices = "|" words "|"
#define INTEGER(from, to) .kind = KIND_INTEGER, .min = (from), .max = (to)
#define COUNT             INTEGER(0, INT32_MAX)

static const struct field fields[] = {
	{FIELDS_REGISTER, "hostname", true, KIND_HOST},
	{FIELDS_REGISTER, "host_type", true, ONE_OF("nixos|macos")},
	{FIELDS_REGISTER, "location", false, TEXT(50)},
	{FIELDS_REGISTER, "device_type", false, ONE_OF("server|desktop|laptop|gaming")},
	{FIELDS_REGISTER, "theme_color", false, KIND_COLOR},
	{FIELDS_REGISTER, "criticality", false, ONE_OF("low|medium|high")},
	{FIELDS_REGISTER, "current_generation", false, KIND_GENERATION, .max = 64},
	{FIELDS_REGISTER, "config_repo", false, TEXT(200)},
	{FIELDS_REGISTER, "poll_interval", false, INTEGER(1, 3600)},
	{FIELDS_REGISTER, "agent_version", false, TEXT(20)},
	{FIELDS_REGISTER, "nixpkgs_version", false, TEXT(64)},
	{FIELDS_REGISTER, "os_version", false, TEXT(50)},
	{FIELDS_REGISTER, "os_name", false, TEXT(50)},
	{FIELDS_REGISTER, "metrics", false, KIND_OBJECT},
	{FIELDS_STATUS, "status", true, ONE_OF("ok|error|unknown")},
	{FIELDS_STATUS, "current_generation", false, KIND_GENERATION, .max = 64},
	{FIELDS_STATUS, "output", false, TEXT(10000)},
	{FIELDS_STATUS, "test_status", false, TEXT(100)},
	{FIELDS_STATUS, "comment", false, TEXT(200)},
	{FIELDS_PROGRESS, "current", true, COUNT},
	{FIELDS_PROGRESS, "total", true, COUNT},
	{FIELDS_PROGRESS, "passed", true, COUNT},
	{FIELDS_PROGRESS, "running", true, KIND_BOOL},
	{FIELDS_PROGRESS, "result", false, TEXT(100)},
	{FIELDS_PROGRESS, "comment", false, TEXT(200)},
};

/* The limits count characters, not bytes: continuation bytes are left out. */
static json_int_t characters(const char *text)
{
	json_int_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

bool fields_host_id(const char *id)
{
	size_t size = strlen(id);
	if (size < 1 || size > 63 || !isalpha((unsigned char)id[0]))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!isalnum((unsigned char)id[i]) && id[i] != '-')
			return false;
	}
	return true;
}

static bool one_of(const char *word, const char *choices)
{
	size_t size = strlen(word);
	for (const char *at = choices; (at = strchr(at, '|')) && at[1]; at++) {
		if (strcspn(at + 1, "|") == size && memcmp(at + 1, word, size) == 0)
			return true;
	}
	return false;
}

static bool color(const char *text)
{
	return strlen(text) == 7 && text[0] == '#' &&
	       strspn(text + 1, "0123456789abcdefABCDEF") == 6;
}

static bool generation(const char *text, json_int_t max)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '-')
			return false;
	}
	return size >= 1 && (json_int_t)size <= max;
}

static bool legal(const struct field *field, const json_t *value)
{
	const char *text = json_string_value(value);
	/* A text with a NUL in it would be judged by its first half only. */
	if (text && strlen(text) != json_string_length(value))
		return false;
	switch (field->kind) {
	case KIND_TEXT: return text && characters(text) <= field->max;
	case KIND_ONE_OF: return text && one_of(text, field->choices);
	case KIND_HOST: return text && fields_host_id(text);
	case KIND_COLOR: return text && color(text);
	case KIND_GENERATION: return text && generation(text, field->max);
	case KIND_INTEGER:
		return json_is_integer(value) && json_integer_value(value) >= field->min &&
		       json_integer_value(value) <= field->max;
	case KIND_BOOL: return json_is_boolean(value);
	case KIND_OBJECT: return json_is_object(value);
	}
	return false;
}

const char *fields_check(enum fields_body body, const json_t *json)
{
	if (!json_is_object(json))
		return "body";
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *field = &fields[i];
		if (field->body != body)
			continue;
		const json_t *value = json_object_get(json, field->name);
		/* null stands for absent where a field is optional. */
		if (!value || json_is_null(value)) {
			if (field->required)
				return field->name;
			continue;
		}
		if (!legal(field, value))
			return field->name;
	}
	return NULL;
}
