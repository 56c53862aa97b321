/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Turns SCHEMA_DEF into structs. Included once for each .def file, so it has no guard. */
#define TYPE(prefix, name, NAME, id) struct prefix##_##name {
#define UINT(owner, field, max)      uint64_t field;
#define INT(owner, field)            int64_t field;
#define BOOL(owner, field)           bool field;
#define TEXT(owner, field, max)      struct text field;
#define BYTES(owner, field, max)     struct text field;
#define END(prefix, name) \
	}                 \
	;
#include SCHEMA_DEF
#include "proto/schema_undef.h"
