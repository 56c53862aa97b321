/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is known of the host that no file tells: the commit where git keeps refs in another way, the
 * system's version where only a program says it. Both come from probes, and are kept for a while.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/time.h"
#include "worker/core/event.h"

/* One value that a probe tells. */
struct sight_value {
	uint64_t asked; /* the id of the probe that is out, 0 for none */
	struct mono asked_at;
	struct mono known_at; /* MONO_NEVER: not known, or something changed since */
	char value[COMMIT_BYTES_MAX + 1];
};

/* The clone that the agent makes for itself. */
struct sight_clone {
	uint64_t asked; /* the id of the probe that is out, 0 for none */
	uint32_t failures;
	struct mono due; /* of the next try */
};

struct sight {
	struct sight_clone clone;
	struct sight_value commit;
	struct sight_value system;
};

void sight_init(struct sight *sight);
/* A file told it. */
void sight_told(struct sight_value *value, struct text text, struct mono now);
/* Whether a probe is wanted: fresh_ms after the last one, or when something changed. */
bool sight_wants(const struct sight_value *value, struct mono now, uint64_t fresh_ms);
void sight_asked(struct sight_value *value, struct mono now, uint64_t id);
/* True when this was the probe. One that failed leaves the old value. */
bool sight_probed(
	struct sight_value *value, struct mono now, const struct agent_event_probed *probed);
/* A command ended: what was known may be wrong now. */
void sight_changed(struct sight *sight);
/* Whether the clone is to be made now. */
bool sight_wants_clone(const struct sight *sight, struct mono now);
void sight_clone_asked(struct sight *sight, uint64_t id);
/* True when this was the probe. */
bool sight_clone_probed(
	struct sight *sight, struct mono now, const struct agent_event_probed *probed);
