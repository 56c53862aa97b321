/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Turns SCHEMA_DEF into its field tables and `static const struct schema SCHEMA_NAME`. No guard. */
#define FIELD(owner, field, kind, max) {#field, kind, offsetof(struct owner, field), max},
/* The last row is never read: a type without fields still has an array. */
#define TYPE(prefix, name, NAME, id) static const struct schema_field prefix##_##name##_fields[] = {
#define UINT(owner, field, max)      FIELD(owner, field, SCHEMA_UINT, max)
#define INT(owner, field)            FIELD(owner, field, SCHEMA_INT, 0)
#define BOOL(owner, field)           FIELD(owner, field, SCHEMA_BOOL, 0)
#define TEXT(owner, field, max)      FIELD(owner, field, SCHEMA_TEXT, max)
#define BYTES(owner, field, max)     FIELD(owner, field, SCHEMA_BYTES, max)
#define END(prefix, name)               \
	{                               \
		NULL, SCHEMA_UINT, 0, 0 \
	}                               \
	}                               \
	;
#include SCHEMA_DEF
#include "proto/schema_undef.h"
#undef FIELD

static const struct schema_type SCHEMA_TYPES[] = {
#define TYPE(prefix, name, NAME, id)                                          \
	{#name, id, sizeof(struct prefix##_##name), prefix##_##name##_fields, \
		sizeof(prefix##_##name##_fields) / sizeof(struct schema_field) - 1},
#define UINT(owner, field, max)
#define INT(owner, field)
#define BOOL(owner, field)
#define TEXT(owner, field, max)
#define BYTES(owner, field, max)
#define END(prefix, name)
#include SCHEMA_DEF
#include "proto/schema_undef.h"
};

static const struct schema SCHEMA_NAME = {
	SCHEMA_TYPES, sizeof(SCHEMA_TYPES) / sizeof(SCHEMA_TYPES[0])};
