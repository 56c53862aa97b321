/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The core's actions as values. Texts are lent until the next step. */
#pragma once

#include "worker/core/policy.h"
#include "worker/core/words.h"

#define SCHEMA_DEF    "worker/core/actions.def"
#define SCHEMA_PREFIX agent_action
#include "proto/schema_declare.h"

struct actions {
	struct agent_action list[AGENT_ACTIONS_MAX];
	uint32_t count;
};
