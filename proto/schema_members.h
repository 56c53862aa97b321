/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Turns SCHEMA_DEF into the members of a union. Included inside the union, so it has no guard. */
#define TYPE(prefix, name, NAME, id) struct prefix##_##name name;
#define UINT(owner, field, max)
#define INT(owner, field)
#define BOOL(owner, field)
#define TEXT(owner, field, max)
#define BYTES(owner, field, max)
#define END(prefix, name)
#include SCHEMA_DEF
#include "proto/schema_undef.h"
