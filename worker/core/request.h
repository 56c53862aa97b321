/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which request the agent makes next, and what its answer means. Part of the agent. */
#pragma once

#include "worker/core/agent.h"

/* One more action of that type, zeroed. */
struct agent_action *action_add(struct actions *actions, enum agent_action_type type);

/* Begins the next request, where one is due and nothing is in its way. */
void request_next(struct agent *agent, struct mono now, struct actions *actions);
/* When request_next or request_waited would do something. */
struct mono request_due(const struct agent *agent);

void request_looked(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions);
/* The probe for the commit ended. */
void request_probed(struct agent *agent, struct mono now, struct actions *actions);
void request_waited(struct agent *agent, struct mono now, struct actions *actions);
void request_answered(struct agent *agent, struct mono now, const struct agent_event_answer *answer,
	struct actions *actions);

/* Has the supervisor look; the id that probed will have. */
uint64_t request_probe(struct agent *agent, const char *name, struct actions *actions);
/* Takes what a look found and asks for what it could not find. True: the commit is being asked for.
 */
bool request_see(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions);
