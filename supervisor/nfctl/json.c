/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/json.h"

#include <stdio.h>
#include <string.h>

static json_t *json_of_text(struct text text)
{
	char copy[FRAME_BYTES_MAX];
	json_t *json = json_stringn(text.data, text.size);
	if (json || text.size > sizeof(copy))
		return json;
	for (uint32_t i = 0; i < text.size; i++)
		copy[i] = (unsigned char)text.data[i] < 0x80 ? text.data[i] : '?';
	return json_stringn(copy, text.size);
}

/* UINT64_MAX stands for "never" and would not fit JSON's integers. */
static json_t *json_of_uint(uint64_t number)
{
	return number > INT64_MAX ? json_null() : json_integer((json_int_t)number);
}

static json_t *json_of_field(const struct schema_field *field, const char *at)
{
	uint64_t number;
	int64_t integer;
	bool flag;
	struct text text;
	switch (field->kind) {
	case SCHEMA_UINT: memcpy(&number, at, sizeof(number)); return json_of_uint(number);
	case SCHEMA_INT: memcpy(&integer, at, sizeof(integer)); return json_integer(integer);
	case SCHEMA_BOOL: memcpy(&flag, at, sizeof(flag)); return json_boolean(flag);
	case SCHEMA_TEXT:
	case SCHEMA_BYTES: memcpy(&text, at, sizeof(text)); return json_of_text(text);
	}
	return NULL;
}

json_t *json_of_control(const struct control *control)
{
	const struct schema_type *type = schema_find(control_schema(), control->type);
	json_t *object = json_object();
	for (uint32_t i = 0; type && i < type->field_count; i++)
		json_object_set_new(object, type->fields[i].name,
			json_of_field(&type->fields[i],
				(const char *)&control->begin + type->fields[i].offset));
	return object;
}

int json_show(json_t *json, size_t flags)
{
	int done = json_dumpf(json, stdout, flags | JSON_PRESERVE_ORDER);
	puts("");
	json_decref(json);
	return done;
}
