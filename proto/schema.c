/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/schema.h"

#include <errno.h>
#include <string.h>

#include <msgpack.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/frame.h"
#include "proto/scan.h"

const struct schema_type *schema_find(const struct schema *schema, uint32_t id)
{
	for (uint32_t i = 0; i < schema->type_count; i++) {
		if (schema->types[i].id == id)
			return &schema->types[i];
	}
	return NULL;
}

static int sink_bytes(void *data, const char *at, size_t size)
{
	struct bytes *to = data;
	/* Most are a few bytes, into a buffer that was used before. */
	if (size <= to->room - to->size) {
		memcpy(to->data + to->size, at, size);
		to->size += (uint32_t)size;
		return 0;
	}
	return size > FRAME_BYTES_MAX ? -1 : bytes_append(data, at, (uint32_t)size);
}

static bool text_fits(const struct schema_field *field, struct text text)
{
	if (text.size > field->max)
		return false;
	return field->kind == SCHEMA_BYTES || text.size == 0 || !memchr(text.data, 0, text.size);
}

static int encode_field(msgpack_packer *packer, const struct schema_field *field, const void *value)
{
	const char *at = (const char *)value + field->offset;
	struct text text;
	uint64_t number;
	int64_t integer;
	bool flag;
	switch (field->kind) {
	case SCHEMA_UINT:
		memcpy(&number, at, sizeof(number));
		if (number > field->max)
			break;
		return msgpack_pack_uint64(packer, number);
	case SCHEMA_INT:
		memcpy(&integer, at, sizeof(integer));
		return msgpack_pack_int64(packer, integer);
	case SCHEMA_BOOL:
		memcpy(&flag, at, sizeof(flag));
		return flag ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
	case SCHEMA_TEXT:
	case SCHEMA_BYTES:
		memcpy(&text, at, sizeof(text));
		if (!text_fits(field, text))
			break;
		if (msgpack_pack_bin(packer, text.size) < 0)
			return -1;
		return text.size ? msgpack_pack_bin_body(packer, text.data, text.size) : 0;
	}
	errno = EINVAL;
	return -1;
}

int schema_encode(const struct schema_type *type, const void *value, struct bytes *to)
{
	static const uint8_t no_head[FRAME_HEAD_BYTES];
	uint32_t start = to->size;
	msgpack_packer packer;
	msgpack_packer_init(&packer, to, sink_bytes);
	if (bytes_append(to, no_head, sizeof(no_head)) < 0)
		return -1;
	int done = msgpack_pack_array(&packer, type->field_count + 1);
	if (done == 0)
		done = msgpack_pack_uint64(&packer, type->id);
	for (uint32_t i = 0; i < type->field_count && done == 0; i++)
		done = encode_field(&packer, &type->fields[i], value);
	uint32_t size = to->size - start - FRAME_HEAD_BYTES;
	if (done == 0 && size > FRAME_BYTES_MAX) {
		errno = EMSGSIZE;
		done = -1;
	}
	if (done < 0) {
		to->size = start;
		return -1;
	}
	frame_head(to->data + start, to->data + start + FRAME_HEAD_BYTES, size);
	return 0;
}

static enum schema_verdict decode_bytes(
	const struct schema_field *field, const msgpack_object *object, char *at)
{
	struct text text;
	if (object->type == MSGPACK_OBJECT_BIN)
		text = (struct text){object->via.bin.ptr, object->via.bin.size};
	else if (object->type == MSGPACK_OBJECT_STR)
		text = (struct text){object->via.str.ptr, object->via.str.size};
	else
		return SCHEMA_KIND;
	if (!text_fits(field, text))
		return SCHEMA_LIMIT;
	if (text.size == 0)
		text = TEXT_NONE;
	memcpy(at, &text, sizeof(text));
	return SCHEMA_GOOD;
}

static enum schema_verdict decode_int(const msgpack_object *object, char *at)
{
	int64_t integer;
	if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
		integer = object->via.i64;
	} else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
		if (object->via.u64 > INT64_MAX)
			return SCHEMA_LIMIT;
		integer = (int64_t)object->via.u64;
	} else {
		return SCHEMA_KIND;
	}
	memcpy(at, &integer, sizeof(integer));
	return SCHEMA_GOOD;
}

static enum schema_verdict decode_field(
	const struct schema_field *field, const msgpack_object *object, void *value)
{
	char *at = (char *)value + field->offset;
	switch (field->kind) {
	case SCHEMA_UINT:
		if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return SCHEMA_KIND;
		if (object->via.u64 > field->max)
			return SCHEMA_LIMIT;
		memcpy(at, &object->via.u64, sizeof(object->via.u64));
		return SCHEMA_GOOD;
	case SCHEMA_INT: return decode_int(object, at);
	case SCHEMA_BOOL:
		if (object->type != MSGPACK_OBJECT_BOOLEAN)
			return SCHEMA_KIND;
		memcpy(at, &object->via.boolean, sizeof(object->via.boolean));
		return SCHEMA_GOOD;
	case SCHEMA_TEXT:
	case SCHEMA_BYTES: return decode_bytes(field, object, at);
	}
	return SCHEMA_KIND;
}

static enum schema_verdict decode_array(const struct schema *schema, const msgpack_object *root,
	const struct schema_type **type, void *value)
{
	if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size == 0)
		return SCHEMA_NO_ARRAY;
	const msgpack_object *items = root->via.array.ptr;
	if (items[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || items[0].via.u64 > UINT32_MAX)
		return SCHEMA_NO_ARRAY;
	const struct schema_type *found = schema_find(schema, (uint32_t)items[0].via.u64);
	if (!found)
		return SCHEMA_UNKNOWN;
	if (root->via.array.size != found->field_count + 1)
		return SCHEMA_COUNT;
	for (uint32_t i = 0; i < found->field_count; i++) {
		enum schema_verdict verdict = decode_field(&found->fields[i], &items[i + 1], value);
		if (verdict != SCHEMA_GOOD)
			return verdict;
	}
	*type = found;
	return SCHEMA_GOOD;
}

enum schema_verdict schema_decode(const struct schema *schema, struct text payload,
	const struct schema_type **type, void *value)
{
	check(payload.size <= FRAME_BYTES_MAX);
	if (!scan_is_one_value(payload))
		return SCHEMA_MALFORMED;
	msgpack_zone zone;
	if (!msgpack_zone_init(&zone, 768))
		return SCHEMA_NO_MEMORY;
	msgpack_object root;
	size_t used = 0;
	enum schema_verdict verdict = SCHEMA_MALFORMED;
	msgpack_unpack_return done = msgpack_unpack(
		payload.data, payload.size, &used, &zone, &root);
	if (done == MSGPACK_UNPACK_SUCCESS || done == MSGPACK_UNPACK_EXTRA_BYTES)
		verdict = decode_array(schema, &root, type, value);
	else if (done == MSGPACK_UNPACK_NOMEM_ERROR)
		verdict = SCHEMA_NO_MEMORY;
	msgpack_zone_destroy(&zone);
	return verdict;
}

const char *schema_verdict_name(enum schema_verdict verdict)
{
	switch (verdict) {
	case SCHEMA_GOOD: return "good";
	case SCHEMA_MALFORMED: return "malformed";
	case SCHEMA_NO_ARRAY: return "not an array with a type";
	case SCHEMA_UNKNOWN: return "unknown type";
	case SCHEMA_COUNT: return "other number of fields";
	case SCHEMA_KIND: return "field of another kind";
	case SCHEMA_LIMIT: return "field over its limit";
	case SCHEMA_NO_MEMORY: return "no memory";
	}
	return "?";
}
