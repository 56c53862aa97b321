/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/sight.h"

#include "proto/base/check.h"

void sight_init(struct sight *sight)
{
	sight->commit.known_at = MONO_NEVER;
	sight->system.known_at = MONO_NEVER;
}

void sight_told(struct sight_value *value, struct text text, struct mono now)
{
	text_copy(text, value->value, sizeof(value->value));
	value->known_at = now;
}

bool sight_wants(const struct sight_value *value, struct mono now, uint64_t fresh_ms)
{
	if (value->asked != 0 && mono_ms_since(now, value->asked_at) < PROBE_LOST_MS)
		return false;
	return value->known_at.ns == MONO_NEVER.ns ||
	       mono_ms_since(now, value->known_at) >= fresh_ms;
}

void sight_asked(struct sight_value *value, struct mono now, uint64_t id)
{
	check(id != 0);
	value->asked = id;
	value->asked_at = now;
}

bool sight_probed(
	struct sight_value *value, struct mono now, const struct agent_event_probed *probed)
{
	if (value->asked == 0 || value->asked != probed->id)
		return false;
	value->asked = 0;
	value->known_at = now;
	if (probed->good)
		text_copy(probed->value, value->value, sizeof(value->value));
	return true;
}

void sight_changed(struct sight *sight)
{
	sight->commit.known_at = MONO_NEVER;
	sight->system.known_at = MONO_NEVER;
}

bool sight_wants_clone(const struct sight *sight, struct mono now)
{
	return sight->clone.asked == 0 && mono_reached(now, sight->clone.due);
}

void sight_clone_asked(struct sight *sight, uint64_t id)
{
	check(id != 0);
	sight->clone.asked = id;
}

bool sight_clone_probed(
	struct sight *sight, struct mono now, const struct agent_event_probed *probed)
{
	struct sight_clone *clone = &sight->clone;
	uint64_t wait_ms = CLONE_AGAIN_MS;
	if (clone->asked == 0 || clone->asked != probed->id)
		return false;
	clone->asked = 0;
	for (uint32_t i = 0; i < clone->failures && wait_ms < CLONE_AGAIN_MAX_MS; i++)
		wait_ms *= 2;
	if (wait_ms > CLONE_AGAIN_MAX_MS)
		wait_ms = CLONE_AGAIN_MAX_MS;
	clone->failures = probed->good ? 0 : clone->failures + 1;
	clone->due = mono_after(now, wait_ms);
	return true;
}
