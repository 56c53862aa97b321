/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/output.h"

#define SCHEMA_DEF    "proto/output.def"
#define SCHEMA_PREFIX output
#include "proto/schema_functions.h"
