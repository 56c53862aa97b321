/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What clients of the control socket ask and are told, as values. */
#pragma once

#define SCHEMA_DEF    "proto/control.def"
#define SCHEMA_PREFIX control
#include "proto/schema_declare.h"
