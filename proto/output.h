/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The frames of a run's output file as values. */
#pragma once

#define SCHEMA_DEF    "proto/output.def"
#define SCHEMA_PREFIX output
#include "proto/schema_declare.h"
