/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Asserts that each type of SCHEMA_DEF fits a frame when all of its fields are as large as they may
 * be: heads of three bytes, numbers of nine. SCHEMA_BYTES_MAX is a narrower bound, where there is
 * one. No guard. */
#ifndef SCHEMA_BYTES_MAX
#define SCHEMA_BYTES_MAX FRAME_BYTES_MAX
#endif
#define TYPE(prefix, name, NAME, id) static_assert(6
#define UINT(owner, field, max)  +9
#define INT(owner, field)        +9
#define BOOL(owner, field)       +1
#define TEXT(owner, field, max)  +3 + (max)
#define BYTES(owner, field, max) +3 + (max)
#define END(prefix, name)            <= SCHEMA_BYTES_MAX, #prefix " " #name " fits a frame");
#include SCHEMA_DEF
#include "proto/schema_undef.h"
