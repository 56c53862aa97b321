/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/control.h"

#define SCHEMA_DEF    "proto/control.def"
#define SCHEMA_PREFIX control
#include "proto/schema_functions.h"
