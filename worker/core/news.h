/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How the link is, for the supervisor and the people who ask it: said with each pong, and at once
 * when it has changed, so that a status does not lag behind.
 */
#pragma once

#include "proto/message.h"
#include "worker/core/agent.h"

/* What was said last. */
struct news {
	enum link link;
	struct mono
		retry; /* when the dashboard is tried again; MONO_NEVER while it is not waited */
};

void news_init(struct news *news);
/* Whether that is no longer so; if it is not, the new state counts as said. */
bool news_is(struct news *news, const struct agent *agent);
/* Its text is the agent's or constant. */
struct message news_pong(const struct agent *agent, struct mono now, uint64_t sequence);
