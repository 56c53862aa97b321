/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/runner/tool.h"

/* systemd's message ids: a unit ended well, a unit failed, a process of a unit ended. */
#define ENDED_WELL    "7ad2d189f7e94e70a38c781354912448"
#define ENDED_BADLY   "d9b373ed55a64feb8242e02dbe79a49c"
#define PROCESS_ENDED "98e322203f7a4ed290d09fe03c09fe15"

/* The value of the last line NAME=VALUE, or NULL. */
static const char *value_of(const char *text, const char *name, char *value, size_t room)
{
	const char *found = NULL;
	size_t size = strlen(name);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == '=')
			found = line + size + 1;
	}
	if (!found)
		return NULL;
	snprintf(value, room, "%.*s", (int)strcspn(found, "\n"), found);
	return value;
}

/* The journal's words about the end of the unit. */
static void ask_journal(struct unit *unit, const char *name, int64_t since_wall_ms)
{
	char answer[TOOL_ANSWER_BYTES], match[300], which[96] = "", since[48], value[64];
	snprintf(match, sizeof(match), "UNIT=%.200s", name);
	if (unit->invocation[0])
		snprintf(which, sizeof(which), "INVOCATION_ID=%.63s", unit->invocation);
	snprintf(since, sizeof(since), "--since=@%" PRId64, since_wall_ms / 1000);
	const char *const argv[] = {"journalctl", "-q", "-o", "export", "-n", "2", since,
		"--output-fields=MESSAGE_ID,EXIT_STATUS", match, "MESSAGE_ID=" ENDED_WELL,
		"MESSAGE_ID=" ENDED_BADLY, "MESSAGE_ID=" PROCESS_ENDED, which[0] ? which : NULL,
		NULL};
	if (!tool_ask(argv, answer))
		return;
	if (value_of(answer, "EXIT_STATUS", value, sizeof(value))) {
		unit->state = UNIT_ENDED;
		unit->code = strtol(value, NULL, 10);
	} else if (strstr(answer, ENDED_WELL)) {
		unit->state = UNIT_ENDED;
		unit->code = 0;
	}
	if (strstr(answer, ENDED_BADLY) && unit->code == 0) {
		unit->state = UNIT_ENDED;
		unit->code = 1;
	}
}

static bool is_going(const char *state)
{
	return strcmp(state, "active") == 0 || strcmp(state, "activating") == 0 ||
	       strcmp(state, "deactivating") == 0 || strcmp(state, "reloading") == 0;
}

void unit_look(struct unit *unit, const char *name, int64_t since_wall_ms)
{
	char answer[TOOL_ANSWER_BYTES], state[32], loaded[32], invocation[64], result[32],
		status[16];
	const char *const argv[] = {"systemctl", "show", "-p",
		"LoadState,ActiveState,Result,ExecMainStatus,InvocationID", name, NULL};
	unit->state = access("/run/systemd/system", F_OK) == 0 ? UNIT_SILENT : UNIT_ABSENT;
	unit->code = 0;
	if (unit->state == UNIT_ABSENT || !tool_ask(argv, answer) ||
		!value_of(answer, "ActiveState", state, sizeof(state)) ||
		!value_of(answer, "LoadState", loaded, sizeof(loaded)) ||
		!value_of(answer, "InvocationID", invocation, sizeof(invocation)))
		return;
	if (is_going(state)) {
		unit->state = UNIT_ACTIVE;
		memcpy(unit->invocation, invocation, sizeof(unit->invocation));
		return;
	}
	bool is_same = unit->invocation[0] && strcmp(unit->invocation, invocation) == 0;
	if (strcmp(loaded, "loaded") == 0 && is_same &&
		value_of(answer, "Result", result, sizeof(result)) &&
		value_of(answer, "ExecMainStatus", status, sizeof(status))) {
		unit->state = UNIT_ENDED;
		unit->code = strtol(status, NULL, 10);
		if (unit->code == 0 && strcmp(result, "success") != 0)
			unit->code = 1;
		return;
	}
	unit->state = UNIT_IDLE;
	ask_journal(unit, name, since_wall_ms);
}
