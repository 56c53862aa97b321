/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bytes of the network to an event: the first two choose the HTTP status and whether it was whole.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/frame.h"
#include "worker/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long codes[] = {200, 201, 302, 401, 408, 422, 429, 500, 999, -1, 70000};
	static struct reply reply;
	struct agent_event event;
	struct agent_event again;
	struct bytes frame;
	struct frame parsed;
	if (size < 2 || size > ANSWER_BYTES_MAX)
		return 0;
	struct http_reply http = {.id = 1,
		.is_whole = data[1] & 1,
		.code = codes[data[0] % (sizeof(codes) / sizeof(codes[0]))],
		.retry_after_ms = (uint64_t)data[1] * 1000,
		.body = {(const char *)data + 2, (uint32_t)size - 2}};
	snprintf(http.why, sizeof(http.why), "why");
	reply_read(&http, &reply, &event);
	/* Whatever came in, the event is one that the inbox takes. */
	bytes_init(&frame, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	check(agent_event_encode(&event, &frame) == 0);
	check(frame_parse(frame.data, frame.size, &parsed) == FRAME_WHOLE);
	check(agent_event_decode(parsed.payload, &again) == SCHEMA_GOOD);
	check(event.answer.token == (reply.answer.token[0] != '\0'));
	bytes_finish(&frame);
	return 0;
}
