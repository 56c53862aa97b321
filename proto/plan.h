/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a runner is told, as a value. */
#pragma once

#define SCHEMA_DEF    "proto/plan.def"
#define SCHEMA_PREFIX plan
#include "proto/schema_declare.h"
