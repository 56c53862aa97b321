/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/record_frame.h"

#define SCHEMA_DEF    "proto/record_frame.def"
#define SCHEMA_PREFIX record_frame
#include "proto/schema_functions.h"
