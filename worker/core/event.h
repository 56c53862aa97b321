/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The core's events as values. The codec that goes with them belongs to the shell. */
#pragma once

#include "worker/core/policy.h"
#include "worker/core/words.h"

#define SCHEMA_DEF    "worker/core/events.def"
#define SCHEMA_PREFIX agent_event
#include "proto/schema_declare.h"
