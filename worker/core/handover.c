/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/handover.h"

#include "proto/base/check.h"

static uint32_t waiting(const struct handover *handover)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < AGENT_COMMANDS_MAX; i++)
		count += handover->list[i].id != 0;
	return count;
}

bool handover_is_full(const struct handover *handover)
{
	return waiting(handover) == AGENT_COMMANDS_MAX;
}

bool handover_is_empty(const struct handover *handover)
{
	return waiting(handover) == 0;
}

struct text handover_add(struct handover *handover, uint64_t id, struct text command)
{
	check(id != 0);
	check(!handover_is_full(handover));
	for (uint32_t i = 0; i < AGENT_COMMANDS_MAX; i++) {
		struct handover_command *slot = &handover->list[i];
		if (slot->id != 0)
			continue;
		slot->id = id;
		text_copy(command, slot->command, sizeof(slot->command));
		return text_of(slot->command);
	}
	return TEXT_NONE;
}

void handover_accepted(struct handover *handover, uint64_t id)
{
	for (uint32_t i = 0; i < AGENT_COMMANDS_MAX; i++) {
		if (id != 0 && handover->list[i].id == id)
			handover->list[i].id = 0;
	}
}
