/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/notice.h"

#include <string.h>

#include <jansson.h>

#include "worker/answer.h"
#include "worker/cleaner.h"

static enum notice_verdict read_registered(
	const json_t *payload, struct notice *notice, struct agent_event *event)
{
	(void)payload;
	(void)notice;
	*event = (struct agent_event){.type = EVENT_REGISTERED};
	return NOTICE_GOOD;
}

static enum notice_verdict read_command(
	const json_t *payload, struct notice *notice, struct agent_event *event)
{
	const char *name = json_string_value(json_object_get(payload, "command"));
	if (!name || !*name)
		return NOTICE_GARBAGE;
	/* One that is too long is unknown in its short form too. */
	cleaner_line(
		text_of(name), COMMAND_BYTES_MAX, false, notice->command, sizeof(notice->command));
	*event = (struct agent_event){
		.type = EVENT_TOLD, .told = {.command = text_of(notice->command)}};
	return NOTICE_GOOD;
}

/* The pid is the dashboard's business: what is ended is the command that runs, and nothing else. */
static enum notice_verdict read_kill(
	const json_t *payload, struct notice *notice, struct agent_event *event)
{
	const char *signal = json_string_value(json_object_get(payload, "signal"));
	(void)notice;
	*event = (struct agent_event){
		.type = EVENT_KILL, .kill = {.hard = signal && strcmp(signal, "SIGKILL") == 0}};
	return NOTICE_GOOD;
}

static const struct {
	const char *type;
	enum notice_verdict (*read)(
		const json_t *payload, struct notice *notice, struct agent_event *event);
} notices[] = {
	{"registered", read_registered},
	{"command", read_command},
	{"kill_command", read_kill},
};

enum notice_verdict notice_read(
	struct text message, struct notice *notice, struct agent_event *event)
{
	const char *why;
	enum notice_verdict verdict = NOTICE_GARBAGE;
	json_t *root = answer_json(message, &why);
	const char *type = json_string_value(json_object_get(root, "type"));
	for (size_t i = 0; type && i < sizeof(notices) / sizeof(notices[0]); i++) {
		verdict = NOTICE_IGNORED;
		if (strcmp(type, notices[i].type) != 0)
			continue;
		verdict = notices[i].read(json_object_get(root, "payload"), notice, event);
		break;
	}
	json_decref(root);
	return verdict;
}
