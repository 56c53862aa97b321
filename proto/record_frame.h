/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The frames of a run's record as values. */
#pragma once

#define SCHEMA_DEF    "proto/record_frame.def"
#define SCHEMA_PREFIX record_frame
#include "proto/schema_declare.h"
