/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/answer.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "worker/cleaner.h"

#define DETAIL_CHARS_MAX 300

/* The parser recurses, and its own limit is generous. */
static bool is_too_deep(struct text body)
{
	uint32_t depth = 0;
	bool in_string = false;
	for (uint32_t i = 0; i < body.size; i++) {
		char byte = body.data[i];
		if (in_string && byte == '\\')
			i++;
		else if (byte == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (byte == '[' || byte == '{')
			depth++;
		else if ((byte == ']' || byte == '}') && depth > 0)
			depth--;
		if (depth > ANSWER_DEPTH_MAX)
			return true;
	}
	return false;
}

json_t *answer_json(struct text body, const char **why)
{
	if (body.size == 0) {
		*why = "the answer is empty";
		return NULL;
	}
	if (body.size > ANSWER_BYTES_MAX || is_too_deep(body)) {
		*why = "the answer is too large or too deep";
		return NULL;
	}
	json_t *root = json_loadb(body.data, body.size, JSON_DECODE_ANY, NULL);
	if (!root)
		*why = "the answer is not JSON";
	return root;
}

static enum answer_token take_token(const json_t *value, char *to)
{
	const char *text = json_string_value(value);
	if (!value || json_is_null(value))
		return ANSWER_TOKEN_ABSENT;
	size_t size = json_string_length(value);
	if (!text || size == 0 || size > TOKEN_BYTES_MAX)
		return ANSWER_TOKEN_ILLEGAL;
	/* It becomes part of a header line. */
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];
		if (byte < 0x21 || byte > 0x7e)
			return ANSWER_TOKEN_ILLEGAL;
	}
	memcpy(to, text, size + 1);
	return ANSWER_TOKEN_NEW;
}

static bool take_command(const json_t *value, char *to)
{
	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value))
		return false;
	/* One that is too long is unknown in its short form too. */
	cleaner_line(text_of(json_string_value(value)), COMMAND_BYTES_MAX, false, to,
		COMMAND_BYTES_MAX + 1);
	return true;
}

static void take(const json_t *root, struct answer *answer)
{
	answer->why = "the answer is not what a dashboard says";
	if (!json_is_object(root) || !json_is_string(json_object_get(root, "status")))
		return;
	answer->token_verdict = take_token(json_object_get(root, "agent_token"), answer->token);
	if (!take_command(json_object_get(root, "command"), answer->command)) {
		answer->why = "the command in the answer is no text";
		return;
	}
	answer->is_good = true;
	answer->why = "";
}

void answer_parse(struct text body, struct answer *answer)
{
	*answer = (struct answer){.why = ""};
	json_t *root = answer_json(body, &answer->why);
	if (!root)
		return;
	take(root, answer);
	json_decref(root);
}

static void detail_of_json(const json_t *root, char *to)
{
	const json_t *detail = json_object_get(root, "detail");
	if (!detail)
		detail = json_object_get(root, "error");
	if (!detail)
		detail = root;
	if (json_is_string(detail)) {
		cleaner_line(text_of(json_string_value(detail)), DETAIL_CHARS_MAX, true, to,
			REASON_BYTES_MAX + 1);
		return;
	}
	char *text = json_dumps(detail, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text)
		cleaner_line(text_of(text), DETAIL_CHARS_MAX, true, to, REASON_BYTES_MAX + 1);
	free(text);
}

void answer_detail(struct text body, char *to)
{
	const char *why;
	to[0] = '\0';
	json_t *root = answer_json(body, &why);
	if (root) {
		detail_of_json(root, to);
		json_decref(root);
		return;
	}
	if (body.size > DETAIL_CHARS_MAX)
		body.size = DETAIL_CHARS_MAX;
	cleaner_line(body, DETAIL_CHARS_MAX, true, to, REASON_BYTES_MAX + 1);
}
