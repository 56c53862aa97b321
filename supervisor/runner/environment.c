/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* By the beginning of the name: secrets, the service manager's sockets, and our own settings. */
static const char *const removed[] = {
	"NIXFLEET_",
	"CREDENTIALS_DIRECTORY=",
	"NOTIFY_SOCKET=",
	"WATCHDOG_",
	"LISTEN_",
	"JOURNAL_STREAM=",
	"INVOCATION_ID=",
	"STATE_DIRECTORY=",
	"RUNTIME_DIRECTORY=",
	"SSH_ASKPASS=",
	"SUDO_ASKPASS=",
};

/* A prompt is an error, never a hang. */
static const struct {
	const char *name;
	const char *value;
} fixed[] = {
	{"GIT_TERMINAL_PROMPT", "0"},
	{"GIT_ASKPASS", "/bin/false"},
	{"SSH_ASKPASS_REQUIRE", "never"},
	{"GIT_EDITOR", "true"},
	{"GIT_MERGE_AUTOEDIT", "no"},
	{"DEBIAN_FRONTEND", "noninteractive"},
};

static bool is_removed(const char *entry)
{
	for (size_t i = 0; i < sizeof(removed) / sizeof(removed[0]); i++) {
		if (strncmp(entry, removed[i], strlen(removed[i])) == 0)
			return true;
	}
	return false;
}

/* unsetenv moves what follows, so the place is looked at again after each. */
static void remove_all(void)
{
	for (size_t i = 0; environ && environ[i];) {
		char name[256];
		size_t size = strcspn(environ[i], "=");
		if (!is_removed(environ[i]) || size >= sizeof(name)) {
			i++;
			continue;
		}
		memcpy(name, environ[i], size);
		name[size] = '\0';
		if (unsetenv(name) < 0)
			i++;
	}
}

static void set_text(const char *name, struct text value, int overwrite)
{
	char text[PATH_BYTES_MAX + 1];
	text_copy(value, text, sizeof(text));
	if (*text)
		setenv(name, text, overwrite);
}

void environment_set(const struct plan_command *plan)
{
	char ssh[PATH_BYTES_MAX + 256];
	remove_all();
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		setenv(fixed[i].name, fixed[i].value, 1);
	set_text("USER", plan->user, 0);
	set_text("LOGNAME", plan->user, 0);
	set_text("HOME", plan->home, 0);
	if (plan->ssh_key.size > 0)
		snprintf(ssh, sizeof(ssh),
			"ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o "
			"IdentitiesOnly=yes -i '%.*s'",
			TEXT_ARGS(plan->ssh_key));
	else
		snprintf(ssh, sizeof(ssh), "ssh -o BatchMode=yes");
	setenv("GIT_SSH_COMMAND", ssh, 1);
}
