/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a WebSocket dashboard says, as events. Pure: bytes in, an event out, whatever they are. */
#pragma once

#include "worker/core/event.h"

enum notice_verdict {
	NOTICE_GOOD,
	NOTICE_IGNORED, /* a type that means nothing to an agent */
	NOTICE_GARBAGE, /* no JSON, too deep, or not {type, payload} */
};

/* Holds what the event lends. */
struct notice {
	char command[COMMAND_BYTES_MAX + 1];
};

enum notice_verdict notice_read(
	struct text message, struct notice *notice, struct agent_event *event);
