/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a store child tells the supervisor, as values. */
#pragma once

#include "proto/record.h"

#define SCHEMA_DEF    "supervisor/stored.def"
#define SCHEMA_PREFIX stored
#include "proto/schema_declare.h"

/* The parts of a record that the supervisor needs, and back. */
struct stored_found stored_from_record(struct text run, const struct record *record);
void stored_to_record(const struct stored_found *found, struct record *record);
