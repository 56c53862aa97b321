/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the dashboard's bodies say. Pure: bytes in, values out, whatever the bytes are; bounded in
 * size and depth before the parser sees them.
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define ANSWER_BYTES_MAX (64 * 1024)
#define ANSWER_DEPTH_MAX 32

enum answer_token {
	ANSWER_TOKEN_ABSENT,
	ANSWER_TOKEN_NEW,
	ANSWER_TOKEN_ILLEGAL, /* another type, control characters, too long: not taken */
};

struct answer {
	bool is_good;    /* the JSON that was expected */
	const char *why; /* not good: a sentence, static */
	enum answer_token token_verdict;
	char command[COMMAND_BYTES_MAX + 1]; /* empty for none */
	char token[TOKEN_BYTES_MAX + 1];     /* secret: clear it when it was taken */
};

void answer_parse(struct text body, struct answer *answer);

/* The JSON of a body within the bounds, owned by the caller; NULL with a sentence in why. */
struct json_t *answer_json(struct text body, const char **why);

/* What a body that came with an error says for people, as one line. to holds REASON_BYTES_MAX + 1;
 * empty where there is nothing. */
void answer_detail(struct text body, char *to);
