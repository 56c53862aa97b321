/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/plan.h"

#define SCHEMA_DEF       "proto/plan.def"
#define SCHEMA_PREFIX    plan
#define SCHEMA_BYTES_MAX (PLAN_BYTES_MAX - FRAME_HEAD_BYTES)
#include "proto/schema_functions.h"
