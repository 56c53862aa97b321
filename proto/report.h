/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a runner reports, as a value. */
#pragma once

#define SCHEMA_DEF    "proto/report.def"
#define SCHEMA_PREFIX report
#include "proto/schema_declare.h"
