/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/reply.h"

#include <stdio.h>

#include "proto/base/bytes.h"
#include "worker/cleaner.h"

#define REASON_CHARS_MAX (REASON_BYTES_MAX / 2)

/* One printable line, whatever a server or a library wrote. */
static void set_reason(struct reply *reply, const char *text)
{
	cleaner_line(text_of(text), REASON_CHARS_MAX, true, reply->reason, sizeof(reply->reason));
}

static void read_code(const struct http_reply *http, struct reply *reply)
{
	char detail[REASON_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 64];
	answer_detail(http->body, detail);
	if (http->code >= 300 && http->code < 400)
		snprintf(
			reason, sizeof(reason), "HTTP %ld: redirects are not followed", http->code);
	else
		snprintf(reason, sizeof(reason), "HTTP %ld%s%s", http->code, *detail ? ": " : "",
			detail);
	set_reason(reply, reason);
}

static enum answer_result read_good(const struct http_reply *http, struct reply *reply)
{
	answer_parse(http->body, &reply->answer);
	set_reason(reply, reply->answer.why);
	return reply->answer.is_good ? ANSWER_GOOD : ANSWER_GARBAGE;
}

void reply_read(const struct http_reply *http, struct reply *reply, struct agent_event *event)
{
	enum answer_result result = ANSWER_NONE;
	*reply = (struct reply){0};
	if (!http->is_whole)
		set_reason(reply, http->why);
	else if (http->code >= 200 && http->code < 300)
		result = read_good(http, reply);
	else {
		result = ANSWER_CODE;
		read_code(http, reply);
	}
	*event = (struct agent_event){.type = EVENT_ANSWER,
		.answer = {
			.id = http->id,
			.result = result,
			.code = http->code > 0 && http->code <= 999 ? (uint64_t)http->code : 0,
			.command = text_of(reply->answer.command),
			.token = reply->answer.token_verdict == ANSWER_TOKEN_NEW,
			.retry_after_ms = http->is_whole ? http->retry_after_ms : 0,
			.reason = text_of(reply->reason),
		}};
}
