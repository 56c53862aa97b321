/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the supervisor said, as the core is told it. Pure. */
#pragma once

#include "proto/base/time.h"
#include "proto/message.h"
#include "worker/core/event.h"

/* The event borrows the message's texts. False where there is none: hello, ping and probed, whose
 * meaning is for whoever asked, and what only a worker says. */
bool heard_event(const struct message *message, struct wall now, struct agent_event *event);
