/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The codecs of the core's events and actions: they need a heap, so they stand outside of it. */
#include "worker/core/action.h"
#include "worker/core/event.h"

#define SCHEMA_DEF    "worker/core/events.def"
#define SCHEMA_PREFIX agent_event
#include "proto/schema_functions.h"

#undef SCHEMA_DEF
#undef SCHEMA_PREFIX
#undef SCHEMA_NAME
#undef SCHEMA_TYPES
#undef SCHEMA_OFFSET

#define SCHEMA_DEF    "worker/core/actions.def"
#define SCHEMA_PREFIX agent_action
#include "proto/schema_functions.h"
