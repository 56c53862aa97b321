/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/report.h"

#define SCHEMA_DEF    "proto/report.def"
#define SCHEMA_PREFIX report
#include "proto/schema_functions.h"
