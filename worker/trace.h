/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Events and actions as words that a person reads: the log, printed recordings and the golden
 * traces of the tests are written by it. Fields that hold nothing (0, false, no text) are left out.
 */
#pragma once

#include "worker/core/action.h"
#include "worker/core/event.h"

#define TRACE_BYTES_MAX 8192

/* `answer id=3 result=good code=200` */
void trace_event(const struct agent_event *event, struct bytes *to);
/* `heartbeat id=4 token=own; run id=5 command=switch`, or nothing. */
void trace_actions(const struct actions *actions, struct bytes *to);
/* The number that a word stands for in a field such as result; false when there is none. */
bool trace_number(const char *field, struct text word, uint64_t *number);
