/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Encodes and decodes the structs that a .def file lists: one array [type, field, …] in a frame.
 * The .def file is the only list; structs, names, limits, tables and the fuzz dictionary follow.
 */
#pragma once

#include <stddef.h>

#include "proto/base/bytes.h"

enum schema_kind {
	SCHEMA_UINT,
	SCHEMA_INT,
	SCHEMA_BOOL,
	SCHEMA_TEXT,
	SCHEMA_BYTES
};

struct schema_field {
	const char *name;
	enum schema_kind kind;
	uint32_t offset;
	uint64_t max; /* SCHEMA_UINT: largest value; SCHEMA_TEXT, SCHEMA_BYTES: most bytes */
};

struct schema_type {
	const char *name;
	uint32_t id;
	uint32_t size; /* of the struct */
	const struct schema_field *fields;
	uint32_t field_count;
};

struct schema {
	const struct schema_type *types;
	uint32_t type_count;
};

enum schema_verdict {
	SCHEMA_GOOD,
	SCHEMA_MALFORMED, /* no single msgpack value within the bounds */
	SCHEMA_NO_ARRAY,  /* not an array that begins with a type number */
	SCHEMA_UNKNOWN,   /* the type number is not in the table */
	SCHEMA_COUNT,     /* another number of fields: another version wrote it */
	SCHEMA_KIND,      /* a field of another kind */
	SCHEMA_LIMIT,     /* a field over its maximum, or text with a NUL */
	SCHEMA_NO_MEMORY,
};

const struct schema_type *schema_find(const struct schema *schema, uint32_t id);

/* Appends a whole frame with value, a struct of this type. 0, or -1 with errno: EMSGSIZE (over the
 * frame's or the buffer's maximum), EINVAL (a field over its own), ENOMEM. */
int schema_encode(const struct schema_type *type, const void *value, struct bytes *to);

/* Decodes a payload into value, which has room for each struct of the schema. Texts are lent: they
 * point into payload. *type is set only with SCHEMA_GOOD. */
enum schema_verdict schema_decode(const struct schema *schema, struct text payload,
	const struct schema_type **type, void *value);

const char *schema_verdict_name(enum schema_verdict verdict);
