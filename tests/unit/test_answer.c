/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/reply.h"

Test(answer, says_what_the_dashboard_said)
{
	static const struct {
		const char *body;
		bool is_good;
		enum answer_token token;
		const char *command;
	} rows[] = {
		{"{\"status\":\"registered\",\"command\":null}", true, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"registered\",\"command\":\"switch\"}", true, ANSWER_TOKEN_ABSENT,
			"switch"},
		{"{\"status\":\"registered\",\"command\":\"\"}", true, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"updated\",\"agent_token\":\"abc-123\"}", true, ANSWER_TOKEN_NEW,
			""},
		{"{\"status\":\"updated\",\"agent_token\":null}", true, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"updated\",\"agent_token\":7,\"command\":\"pull\"}", true,
			ANSWER_TOKEN_ILLEGAL, "pull"},
		{"{\"status\":\"updated\",\"agent_token\":\"a\\r\\nb\"}", true,
			ANSWER_TOKEN_ILLEGAL, ""},
		{"{\"status\":\"updated\",\"agent_token\":\"\"}", true, ANSWER_TOKEN_ILLEGAL, ""},
		{"{\"status\":\"registered\",\"command\":[1]}", false, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":7}", false, ANSWER_TOKEN_ABSENT, ""},
		{"{}", false, ANSWER_TOKEN_ABSENT, ""},
		{"[]", false, ANSWER_TOKEN_ABSENT, ""},
		{"null", false, ANSWER_TOKEN_ABSENT, ""},
		{"\"registered\"", false, ANSWER_TOKEN_ABSENT, ""},
		{"", false, ANSWER_TOKEN_ABSENT, ""},
		{"<html>login</html>", false, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"registered\",\"comm", false, ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"registered\",\"command\":\"a\\u0000b\"}", false,
			ANSWER_TOKEN_ABSENT, ""},
		{"{\"status\":\"registered\",\"command\":\"a\\u001b[31mb\"}", true,
			ANSWER_TOKEN_ABSENT, "ab"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer answer;
		answer_parse(text_of(rows[i].body), &answer);
		cr_assert(eq(int, answer.is_good, rows[i].is_good), "%s", rows[i].body);
		cr_assert(
			eq(int, (int)answer.token_verdict, (int)rows[i].token), "%s", rows[i].body);
		cr_assert(eq(str, answer.command, (char *)(uintptr_t)rows[i].command));
		cr_assert(eq(int, answer.why[0] == '\0', rows[i].is_good));
	}
}

Test(answer, long_commands_are_cut_and_long_tokens_are_none)
{
	struct answer answer;
	char body[TOKEN_BYTES_MAX + 200];
	char command[COMMAND_BYTES_MAX + 1];
	memset(command, 'a', COMMAND_BYTES_MAX);
	command[COMMAND_BYTES_MAX] = '\0';
	snprintf(body, sizeof(body), "{\"status\":\"x\",\"command\":\"%sbb\"}", command);
	answer_parse(text_of(body), &answer);
	cr_assert(eq(str, answer.command, command));
	char token[TOKEN_BYTES_MAX + 2];
	memset(token, 't', sizeof(token));
	token[TOKEN_BYTES_MAX + 1] = '\0';
	snprintf(body, sizeof(body), "{\"status\":\"x\",\"agent_token\":\"%s\"}", token);
	answer_parse(text_of(body), &answer);
	cr_assert(eq(int, (int)answer.token_verdict, ANSWER_TOKEN_ILLEGAL));
	token[TOKEN_BYTES_MAX] = '\0';
	snprintf(body, sizeof(body), "{\"status\":\"x\",\"agent_token\":\"%s\"}", token);
	answer_parse(text_of(body), &answer);
	cr_assert(eq(int, (int)answer.token_verdict, ANSWER_TOKEN_NEW));
}

Test(answer, depth_and_size_are_bounded_before_the_parser)
{
	struct answer answer;
	char deep[2 * (ANSWER_DEPTH_MAX + 2) + 1];
	for (uint32_t depth = ANSWER_DEPTH_MAX; depth <= ANSWER_DEPTH_MAX + 1; depth++) {
		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		deep[2 * depth] = '\0';
		answer_parse(text_of(deep), &answer);
		cr_assert(not(answer.is_good));
		cr_assert(eq(int, strstr(answer.why, "deep") != NULL, depth > ANSWER_DEPTH_MAX));
	}
	answer_parse(
		text_of("{\"status\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}"), &answer);
	cr_assert(answer.is_good);
	char *large = malloc(ANSWER_BYTES_MAX + 1);
	memset(large, ' ', ANSWER_BYTES_MAX + 1);
	answer_parse((struct text){large, ANSWER_BYTES_MAX + 1}, &answer);
	cr_assert(not(answer.is_good));
	free(large);
}

Test(answer, errors_are_told_in_one_line)
{
	static const struct {
		const char *body;
		const char *detail;
	} rows[] = {
		{"{\"detail\":\"Invalid token\"}", "Invalid token"},
		{"{\"detail\":[{\"loc\":[\"body\",\"comment\"],\"msg\":\"too long\"}]}",
			"[{\"loc\":[\"body\",\"comment\"],\"msg\":\"too long\"}]"},
		{"{\"error\":\"no\\nway\"}", "no way"},
		{"Internal Server Error", "Internal Server Error"},
		{"<html>\r\n<b>x</b>\r\n</html>\n", "<html> <b>x</b> </html>"},
		{"", ""},
		{"\x1b[31mred\x1b[0m", "red"},
	};
	char detail[REASON_BYTES_MAX + 1];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		answer_detail(text_of(rows[i].body), detail);
		cr_assert(eq(str, detail, (char *)(uintptr_t)rows[i].detail));
	}
}

Test(reply, becomes_an_event)
{
	static const struct {
		bool is_whole;
		long code;
		const char *body;
		const char *why;
		enum answer_result result;
		const char *reason;
	} rows[] = {
		{true, 200, "{\"status\":\"registered\"}", "", ANSWER_GOOD, ""},
		{true, 200, "<html>", "", ANSWER_GARBAGE, "the answer is not JSON"},
		{true, 204, "", "", ANSWER_GARBAGE, "the answer is empty"},
		{true, 401, "{\"detail\":\"Invalid token\"}", "", ANSWER_CODE,
			"HTTP 401: Invalid token"},
		{true, 302, "moved", "", ANSWER_CODE, "HTTP 302: redirects are not followed"},
		{true, 500, "", "", ANSWER_CODE, "HTTP 500"},
		{false, 200, "{\"status\":\"registered\",\"command\":\"switch\"}", "cut off",
			ANSWER_NONE, "cut off"},
		{false, 0, "", "Connection refused", ANSWER_NONE, "Connection refused"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_reply http = {.id = 9,
			.is_whole = rows[i].is_whole,
			.code = rows[i].code,
			.body = text_of(rows[i].body)};
		struct reply reply;
		struct agent_event event;
		char reason[REASON_BYTES_MAX + 1];
		snprintf(http.why, sizeof(http.why), "%s", rows[i].why);
		reply_read(&http, &reply, &event);
		text_copy(event.answer.reason, reason, sizeof(reason));
		cr_assert(eq(u64, event.answer.id, 9));
		cr_assert(eq(int, (int)event.answer.result, (int)rows[i].result));
		cr_assert(eq(str, reason, (char *)(uintptr_t)rows[i].reason));
		cr_assert(eq(u32, event.answer.command.size, 0));
	}
}
