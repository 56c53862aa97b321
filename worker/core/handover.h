/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The commands that were handed to the supervisor and are not on its disk yet. When there is no
 * room for one more, the dashboard is not asked for one.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/bytes.h"
#include "worker/core/policy.h"

struct handover_command {
	uint64_t id; /* 0: free */
	char command[COMMAND_BYTES_MAX + 1];
};

struct handover {
	struct handover_command list[AGENT_COMMANDS_MAX];
};

bool handover_is_full(const struct handover *handover);
bool handover_is_empty(const struct handover *handover);
/* The name that is kept, lent. There must be room. */
struct text handover_add(struct handover *handover, uint64_t id, struct text command);
void handover_accepted(struct handover *handover, uint64_t id);
