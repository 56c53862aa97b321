/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Defines the tables and functions that go with SCHEMA_DEF and SCHEMA_PREFIX, and asserts that
 * every type fits a frame. No guard. */
#include "proto/base/check.h"

#define SCHEMA_NAME  SCHEMA_JOIN(SCHEMA_PREFIX, _table)
#define SCHEMA_TYPES SCHEMA_JOIN(SCHEMA_PREFIX, _types)
#include "proto/schema_sizes.h"
#include "proto/schema_tables.h"
/* The union of all types follows the type; it begins at the alignment of its widest member. */
#define SCHEMA_OFFSET offsetof(struct SCHEMA_PREFIX, begin)

int SCHEMA_JOIN(SCHEMA_PREFIX, _encode)(const struct SCHEMA_PREFIX *value, struct bytes *to)
{
	const struct schema_type *type = schema_find(&SCHEMA_NAME, value->type);
	check(type != NULL);
	return schema_encode(type, (const char *)value + SCHEMA_OFFSET, to);
}

enum schema_verdict SCHEMA_JOIN(SCHEMA_PREFIX, _decode)(
	struct text payload, struct SCHEMA_PREFIX *value)
{
	const struct schema_type *type;
	*value = (struct SCHEMA_PREFIX){0};
	enum schema_verdict verdict = schema_decode(
		&SCHEMA_NAME, payload, &type, (char *)value + SCHEMA_OFFSET);
	if (verdict == SCHEMA_GOOD)
		value->type = type->id;
	return verdict;
}

const char *SCHEMA_JOIN(SCHEMA_PREFIX, _name)(enum SCHEMA_JOIN(SCHEMA_PREFIX, _type) type)
{
	const struct schema_type *found = schema_find(&SCHEMA_NAME, type);
	return found ? found->name : "?";
}

const struct schema *SCHEMA_JOIN(SCHEMA_PREFIX, _schema)(void)
{
	return &SCHEMA_NAME;
}
