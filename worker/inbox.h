/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The events that wait for the core, in order, as the bytes that are also recorded. Bounded:
 * whoever reads a descriptor asks inbox_has_room() first.
 */
#pragma once

#include "worker/core/event.h"

#define INBOX_BYTES_MAX (64 * 1024)

struct inbox {
	struct bytes waiting; /* frames */
	struct bytes taken;   /* the frame of this turn: what its event lends */
	uint32_t read;        /* bytes of waiting that were taken */
	uint32_t count;
};

void inbox_init(struct inbox *inbox);
void inbox_finish(struct inbox *inbox);
/* Asked before each message that is heard: a quarter is kept for what comes with the last one, and
 * for what the turns themselves add. */
bool inbox_has_room(const struct inbox *inbox);
/* The event is copied. Memory that ran out ends the process: an event must not be lost. */
void inbox_add(struct inbox *inbox, const struct agent_event *event);
/* The oldest event, lent until the next take; payload is its encoded form. There must be one. */
void inbox_take(struct inbox *inbox, struct agent_event *event, struct text *payload);
