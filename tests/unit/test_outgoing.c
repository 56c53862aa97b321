/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a WebSocket dashboard is sent, and what its messages mean. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "worker/notice.h"
#include "worker/outgoing.h"
#include "worker/upgrade.h"

static char *line_of(const char *data, uint32_t size)
{
	struct bytes message;
	bytes_init(&message, 1024 * 1024);
	cr_assert(eq(int,
		outgoing_line((struct text){data, size}, "stdout", "switch", false, &message), 0));
	json_t *root = json_loadb((const char *)message.data, message.size, 0, NULL);
	cr_assert(root != NULL, "no JSON: %.*s", (int)message.size, (const char *)message.data);
	const json_t *payload = json_object_get(root, "payload");
	char *line = strdup(json_string_value(json_object_get(payload, "line")));
	cr_assert(eq(str, (char *)json_string_value(json_object_get(payload, "stream")), "stdout"));
	json_decref(root);
	bytes_finish(&message);
	return line;
}

Test(outgoing, a_line_is_json_whatever_its_bytes_are)
{
	static const struct {
		const char *bytes;
		const char *line;
	} rows[] = {
		{"plain", "plain"},
		{"a \"quote\" and a \\", "a \"quote\" and a \\"},
		{"tab\there", "tab\there"},
		{"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"bad \xff byte", "bad \xef\xbf\xbd byte"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
		{"long \xc0\xaf", "long \xef\xbf\xbd\xef\xbf\xbd"},
		{"half \xed\xa0\x80", "half \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = line_of(rows[i].bytes, (uint32_t)strlen(rows[i].bytes));
		cr_expect(eq(str, line, (char *)rows[i].line));
		free(line);
	}
}

/* A path may have any bytes, and a message that cannot be made would never be: the host would try
 * for ever. */
Test(outgoing, a_host_with_an_odd_path_registers)
{
	struct host host = {.interval_ms = 5000};
	struct facts facts = {.os_name = ""};
	struct facts_program program = {.hash = ""};
	struct payload payload = {0};
	struct bytes message;
	char path[] = "/home/jos\xe9/nixcfg", address[] = "git@h:jos\xe9.git", empty[] = "";
#define X(field) host.field = empty;
	HOST_TEXTS(X)
#undef X
	host.repo_dir = path;
	host.repo_url = address;
	const struct outgoing all = {.host = &host,
		.facts = &facts,
		.program = &program,
		.lock_hash = "",
		.payload = &payload};
	const struct agent_action_announce announce = {TEXT_NONE, TEXT_NONE};
	bytes_init(&message, 64 * 1024);
	cr_assert(eq(int, outgoing_register(&all, &announce, &message), 0));
	json_t *root = json_loadb((const char *)message.data, message.size, 0, NULL);
	const json_t *said = json_object_get(root, "payload");
	cr_assert(eq(str, (char *)json_string_value(json_object_get(said, "repo_dir")),
		"/home/jos?/nixcfg"));
	cr_assert(eq(str, (char *)json_string_value(json_object_get(said, "repo_url")),
		"git@h:jos?.git"));
	json_decref(root);
	bytes_finish(&message);
}

static json_t *status_of(uint64_t outcome, int64_t code, const char *reason, const char *run)
{
	struct bytes message;
	bytes_init(&message, 64 * 1024);
	const struct agent_action_report report = {.run = text_of(run),
		.command = text_of("switch"),
		.outcome = outcome,
		.code = code,
		.reason = text_of(reason),
		.summary = TEXT_NONE,
		.commit = text_of("71789be985f5aa")};
	cr_assert(eq(int, outgoing_status(&report, &message), 0));
	json_t *root = json_loadb((const char *)message.data, message.size, 0, NULL);
	json_t *payload = json_incref(json_object_get(root, "payload"));
	json_decref(root);
	bytes_finish(&message);
	return payload;
}

/* A status never says 0 for what did not end with it, and always says why. */
Test(outgoing, a_status_says_how_a_command_ended)
{
	static const struct {
		uint64_t outcome;
		int64_t code;
		const char *reason, *run, *status, *message;
		int exit_code;
	} rows[] = {
		{OUTCOME_EXITED, 0, "", "r", "ok", "done", 0},
		{OUTCOME_EXITED, 4, "4: switched, but units failed: nginx", "r", "error",
			"4: switched, but units failed: nginx", 4},
		{OUTCOME_EXITED, 1, "", "r", "error", "exited 1", 1},
		{OUTCOME_SIGNALED, 9, "", "r", "error", "signaled 9", 137},
		{OUTCOME_TIMED_OUT, 0, "timed out after 3600 s", "r", "error",
			"timed out after 3600 s", 124},
		{OUTCOME_CANCELLED, 0, "cancelled", "r", "stopped", "cancelled", 130},
		{OUTCOME_CANCELLED, 0, "nothing is running", "", "stopped", "nothing is running",
			0},
		{OUTCOME_LOST, 0, "", "r", "error", "lost", 125},
		{OUTCOME_REFUSED, 0, "Unknown command: x", "r", "error", "Unknown command: x", 125},
		{OUTCOME_INTERRUPTED, 0, "", "r", "error", "interrupted", 125},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *payload = status_of(
			rows[i].outcome, rows[i].code, rows[i].reason, rows[i].run);
		const char *status = json_string_value(json_object_get(payload, "status"));
		const char *message = json_string_value(json_object_get(payload, "message"));
		const char *commit = json_string_value(json_object_get(payload, "generation"));
		cr_expect(eq(str, (char *)status, (char *)rows[i].status));
		cr_expect(eq(str, (char *)message, (char *)rows[i].message));
		cr_expect(eq(str, (char *)commit, "71789be"));
		cr_expect(eq(int, (int)json_integer_value(json_object_get(payload, "exit_code")),
			rows[i].exit_code));
		json_decref(payload);
	}
}

Test(notice, messages_mean_what_they_say_or_nothing)
{
	static const struct {
		const char *message;
		enum notice_verdict verdict;
		enum agent_event_type type;
		const char *command;
	} rows[] = {
		{"{\"type\":\"registered\",\"payload\":{\"host_id\":\"toy\"}}", NOTICE_GOOD,
			EVENT_REGISTERED, NULL},
		{"{\"type\":\"command\",\"payload\":{\"command\":\"switch\"}}", NOTICE_GOOD,
			EVENT_TOLD, "switch"},
		{"{\"type\":\"kill_command\",\"payload\":{\"signal\":\"SIGTERM\",\"pid\":0}}",
			NOTICE_GOOD, EVENT_KILL, NULL},
		{"{\"type\":\"command\",\"payload\":{\"command\":7}}", NOTICE_GARBAGE, 0, NULL},
		{"{\"type\":\"command\"}", NOTICE_GARBAGE, 0, NULL},
		{"{\"type\":\"weather\",\"payload\":{}}", NOTICE_IGNORED, 0, NULL},
		{"{\"type\":7}", NOTICE_GARBAGE, 0, NULL},
		{"[1,2]", NOTICE_GARBAGE, 0, NULL},
		{"garbage", NOTICE_GARBAGE, 0, NULL},
		{"", NOTICE_GARBAGE, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct notice notice;
		struct agent_event event = {0};
		cr_expect(eq(int, notice_read(text_of(rows[i].message), &notice, &event),
				  rows[i].verdict),
			"%s", rows[i].message);
		if (rows[i].verdict == NOTICE_GOOD)
			cr_expect(eq(int, event.type, rows[i].type));
		if (rows[i].command)
			cr_expect(text_is(event.told.command, rows[i].command));
	}
}

Test(upgrade, only_the_right_answer_opens_a_websocket)
{
	/* The key and the answer to it of RFC 6455, 1.3. */
	static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
				   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nrest";
	static const struct {
		const char *answer;
		enum upgrade_verdict verdict;
		uint64_t code, retry_after_ms;
	} rows[] = {
		{good, UPGRADE_GOOD, 101, 0},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n", UPGRADE_SHORT, 0, 0},
		{"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no\r\n\r\n",
			UPGRADE_REFUSED, 101, 0},
		{"HTTP/1.1 401 Unauthorized\r\n\r\n", UPGRADE_REFUSED, 401, 0},
		{"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", UPGRADE_REFUSED, 503, 7000},
		{"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", UPGRADE_REFUSED, 302, 0},
		{"SSH-2.0-OpenSSH\r\n\r\n", UPGRADE_REFUSED, 0, 0},
		/* A code is three digits: an event holds no more. */
		{"HTTP/1.1 -5 No\r\n\r\n", UPGRADE_REFUSED, 0, 0},
		{"HTTP/1.1 +99 No\r\n\r\n", UPGRADE_REFUSED, 0, 0},
		{"HTTP/1.1 No\r\n\r\n", UPGRADE_REFUSED, 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upgrade upgrade = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
		cr_expect(eq(int, upgrade_read(&upgrade, text_of(rows[i].answer)), rows[i].verdict),
			"%s", rows[i].answer);
		cr_expect(eq(u64, upgrade.code, rows[i].code));
		cr_expect(eq(u64, upgrade.retry_after_ms, rows[i].retry_after_ms));
		cr_expect(rows[i].verdict != UPGRADE_REFUSED || upgrade.reason[0]);
	}
	struct upgrade upgrade = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
	upgrade_read(&upgrade, text_of(good));
	cr_assert(eq(u32, upgrade.head_bytes, (uint32_t)strlen(good) - 4));
}

Test(upgrade, a_refusal_may_name_a_date)
{
	char answer[128], date[64];
	time_t then = time(NULL) + 3600;
	struct upgrade upgrade = {.key = ""};
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
	snprintf(answer, sizeof(answer), "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\n\r\n", date);
	cr_assert(eq(int, upgrade_read(&upgrade, text_of(answer)), UPGRADE_REFUSED));
	cr_expect(le(u64, upgrade.retry_after_ms, 3600 * 1000));
	cr_expect(ge(u64, upgrade.retry_after_ms, 3500 * 1000));
	upgrade = (struct upgrade){.key = ""};
	upgrade_read(&upgrade, text_of("HTTP/1.1 503 Busy\r\n"
				       "Retry-After: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n"));
	cr_expect(eq(u64, upgrade.retry_after_ms, 0));
}

Test(upgrade, the_request_names_host_path_and_token)
{
	struct upgrade upgrade;
	struct bytes request;
	bytes_init(&request, 64 * 1024);
	cr_assert(eq(int,
		upgrade_ask(&upgrade, "wss://fleet.example:8443/a/ws?x=1", "secret", &request), 0));
	cr_assert(eq(int, bytes_append(&request, "", 1), 0));
	const char *text = (const char *)request.data;
	cr_expect(strstr(text, "GET /a/ws?x=1 HTTP/1.1\r\nHost: fleet.example:8443\r\n") == text);
	cr_expect(strstr(text, "\r\nAuthorization: Bearer secret\r\n") != NULL);
	cr_expect(strstr(text, "Origin") == NULL);
	cr_expect(eq(sz, strlen(upgrade.key), (size_t)UPGRADE_KEY_BYTES));
	bytes_finish(&request);
}
