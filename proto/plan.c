/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/plan.h"

#define SCHEMA_DEF    "proto/plan.def"
#define SCHEMA_PREFIX plan
#include "proto/schema_functions.h"
