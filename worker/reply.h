/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an HTTP reply means to the core: the step from bytes of the network to an event. Pure. */
#pragma once

#include "worker/answer.h"
#include "worker/core/event.h"
#include "worker/http.h"

/* Holds what the event lends. */
struct reply {
	struct answer answer;
	char reason[REASON_BYTES_MAX + 1];
};

/* The event lends texts of *reply; reply->answer.token is secret and stays with the caller. */
void reply_read(const struct http_reply *http, struct reply *reply, struct agent_event *event);
