/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/inbox.h"

#include "proto/base/check.h"
#include "proto/frame.h"

void inbox_init(struct inbox *inbox)
{
	*inbox = (struct inbox){0};
	bytes_init(&inbox->waiting, INBOX_BYTES_MAX);
	bytes_init(&inbox->taken, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
}

void inbox_finish(struct inbox *inbox)
{
	bytes_finish(&inbox->waiting);
	bytes_finish(&inbox->taken);
}

bool inbox_has_room(const struct inbox *inbox)
{
	return inbox->waiting.size - inbox->read < INBOX_BYTES_MAX / 4 * 3;
}

void inbox_add(struct inbox *inbox, const struct agent_event *event)
{
	if (inbox->read > 0 && inbox->count == 0) {
		bytes_clear(&inbox->waiting);
		inbox->read = 0;
	}
	if (agent_event_encode(event, &inbox->waiting) < 0) {
		/* The space before the oldest one is taken back only when it is needed. */
		bytes_drop(&inbox->waiting, inbox->read);
		inbox->read = 0;
		int done = agent_event_encode(event, &inbox->waiting);
		check(done == 0);
	}
	inbox->count++;
}

void inbox_take(struct inbox *inbox, struct agent_event *event, struct text *payload)
{
	struct frame frame;
	check(inbox->count > 0);
	check(frame_parse(inbox->waiting.data + inbox->read, inbox->waiting.size - inbox->read,
		      &frame) == FRAME_WHOLE);
	bytes_clear(&inbox->taken);
	check(bytes_append(&inbox->taken, frame.payload.data, frame.payload.size) == 0);
	inbox->read += frame.bytes;
	inbox->count--;
	*payload = (struct text){(const char *)inbox->taken.data, inbox->taken.size};
	check(agent_event_decode(*payload, event) == SCHEMA_GOOD);
}
