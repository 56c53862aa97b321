/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a stream of frames, through every schema: what decodes encodes to the same meaning.
 */
#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/control.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "proto/output.h"
#include "proto/plan.h"
#include "proto/record_frame.h"
#include "proto/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema *(*const schemas[])(void) = {
	message_schema,
	control_schema,
	output_schema,
	plan_schema,
	record_frame_schema,
	report_schema,
};

union any {
	struct message message;
	struct control control;
	struct output output;
	struct plan plan;
	struct record_frame record_frame;
	struct report report;
};

static void decode(const struct schema *schema, struct text payload)
{
	union any value, again;
	struct bytes bytes;
	struct frame frame;
	const struct schema_type *type, *same;
	if (schema_decode(schema, payload, &type, &value) != SCHEMA_GOOD)
		return;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	check(schema_encode(type, &value, &bytes) == 0);
	check(frame_parse(bytes.data, bytes.size, &frame) == FRAME_WHOLE);
	check(schema_decode(schema, frame.payload, &same, &again) == SCHEMA_GOOD);
	check(same == type);
	bytes_finish(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;
	size_t at = 0;
	while (frame_parse(data + at, size - at, &frame) == FRAME_WHOLE)
		at += frame.bytes;
	/* A checksum is hard to guess: the first byte chooses a schema, the rest is a payload. */
	if (size < 2 || size - 1 > FRAME_BYTES_MAX)
		return 0;
	const size_t count = sizeof(schemas) / sizeof(schemas[0]);
	decode(schemas[data[0] % count](),
		(struct text){(const char *)data + 1, (uint32_t)size - 1});
	return 0;
}
