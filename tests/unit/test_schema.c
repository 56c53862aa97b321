/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/message.h"

static struct bytes bytes;

static void make(void)
{
	bytes_init(&bytes, 4 * FRAME_BYTES_MAX);
}

static void finish(void)
{
	bytes_finish(&bytes);
}

TestSuite(schema, .init = make, .fini = finish);

static struct text payload(void)
{
	struct frame frame;
	cr_assert(eq(int, (int)frame_parse(bytes.data, bytes.size, &frame), FRAME_WHOLE));
	return frame.payload;
}

Test(schema, each_message_comes_back_as_it_went)
{
	const struct schema *schema = message_schema();
	for (uint32_t i = 0; i < schema->type_count; i++) {
		struct message sent = {.type = schema->types[i].id}, got;
		for (uint32_t at = 0; at < schema->types[i].field_count; at++) {
			const struct schema_field *field = &schema->types[i].fields[at];
			char *place = (char *)&sent.begin + field->offset;
			struct text text = text_of("abc");
			uint64_t number = field->max > 2 ? 3 : 1;
			if (field->kind == SCHEMA_TEXT || field->kind == SCHEMA_BYTES)
				memcpy(place, &text, sizeof(text));
			else if (field->kind != SCHEMA_BOOL)
				memcpy(place, &number, sizeof(number));
		}
		bytes_clear(&bytes);
		cr_assert(eq(int, message_encode(&sent, &bytes), 0), "%s", schema->types[i].name);
		cr_assert(eq(int, (int)message_decode(payload(), &got), SCHEMA_GOOD), "%s",
			schema->types[i].name);
		cr_assert(eq(int, (int)got.type, (int)sent.type));
		struct bytes again;
		bytes_init(&again, FRAME_BYTES_MAX);
		cr_assert(eq(int, message_encode(&got, &again), 0));
		cr_assert(eq(u32, again.size, bytes.size));
		cr_assert(eq(int, memcmp(again.data, bytes.data, bytes.size), 0), "%s",
			schema->types[i].name);
		bytes_finish(&again);
	}
}

Test(schema, texts_over_their_limit_are_not_encoded)
{
	char command[COMMAND_BYTES_MAX + 1];
	memset(command, 'a', sizeof(command));
	struct message message = {
		.type = MESSAGE_RUN, .run = {.command = {command, sizeof(command)}}};
	cr_assert(eq(int, message_encode(&message, &bytes), -1));
	cr_assert(eq(int, errno, EINVAL));
	cr_assert(eq(u32, bytes.size, 0));
	message.run.command.size--;
	cr_assert(eq(int, message_encode(&message, &bytes), 0));
}

/* [type 34 run, request, command] in other shapes. */
static const struct {
	const char *name;
	const char *data;
	uint32_t size;
	enum schema_verdict verdict;
} cases[] = {
	{"good",
		"\x93\x22\x01\xa2"
		"ab",
		6, SCHEMA_GOOD},
	{"no array", "\x22", 1, SCHEMA_NO_ARRAY},
	{"empty array", "\x90", 1, SCHEMA_NO_ARRAY},
	{"negative type", "\x91\xff", 2, SCHEMA_NO_ARRAY},
	{"unknown type", "\x91\x7f", 2, SCHEMA_UNKNOWN},
	{"a field too few", "\x92\x22\x01", 3, SCHEMA_COUNT},
	{"a field too many",
		"\x94\x22\x01\xa1"
		"a\x01",
		6, SCHEMA_COUNT},
	{"text for a number",
		"\x93\x22\xa1"
		"a\xa1"
		"a",
		6, SCHEMA_KIND},
	{"number for a text", "\x93\x22\x01\x01", 4, SCHEMA_KIND},
	{"negative for unsigned",
		"\x93\x22\xff\xa1"
		"a",
		5, SCHEMA_KIND},
	{"NUL in a text",
		"\x93\x22\x01\xa2"
		"a\0",
		6, SCHEMA_LIMIT},
	{"cut",
		"\x93\x22\x01\xa2"
		"a",
		5, SCHEMA_MALFORMED},
	{"something behind",
		"\x93\x22\x01\xa1"
		"a\x01",
		6, SCHEMA_MALFORMED},
};

Test(schema, every_other_shape_has_its_verdict)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message message;
		struct text data = {cases[i].data, cases[i].size};
		cr_expect(eq(str,
				  (char *)(uintptr_t)schema_verdict_name(
					  message_decode(data, &message)),
				  (char *)(uintptr_t)schema_verdict_name(cases[i].verdict)),
			"%s", cases[i].name);
	}
}

Test(schema, directions_are_known)
{
	cr_assert(not(message_is_from_worker(MESSAGE_STOP)));
	cr_assert(message_is_from_worker(MESSAGE_READY));
}
