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
	/* What points git at another repository than the one of its -C; git rev-parse
	 * --local-env-vars names them, and configuration (GIT_CONFIG_COUNT) is none. */
	"GIT_ALTERNATE_OBJECT_DIRECTORIES=",
	"GIT_COMMON_DIR=",
	"GIT_CONFIG=",
	"GIT_CONFIG_PARAMETERS=",
	"GIT_DIR=",
	"GIT_EXTERNAL_DIFF=",
	"GIT_GRAFT_FILE=",
	"GIT_IMPLICIT_WORK_TREE=",
	"GIT_INDEX_FILE=",
	"GIT_NAMESPACE=",
	"GIT_NO_REPLACE_OBJECTS=",
	"GIT_OBJECT_DIRECTORY=",
	"GIT_PREFIX=",
	"GIT_REPLACE_REF_BASE=",
	"GIT_SHALLOW_FILE=",
	"GIT_WORK_TREE=",
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

/* A key of our own means a host that nobody logs in from: there is no known_hosts file that a
 * person filled in, and a question would be an error. So a host key is taken the first time and
 * refused when it changes (accept-new). Without a key, ssh is the person's, and so is what it
 * trusts. */
static void set_ssh(struct text key)
{
	/* git hands the command to a shell, so each quote in the path is closed, escaped, opened.
	 */
	char ssh[4 * PATH_BYTES_MAX + 256] = "ssh -o BatchMode=yes";
	size_t at = strlen(ssh);
	if (key.size > 0) {
		at += (size_t)snprintf(ssh + at, sizeof(ssh) - at,
			" -o StrictHostKeyChecking=accept-new -o IdentitiesOnly=yes -i '");
		for (uint32_t i = 0; i < key.size && i < PATH_BYTES_MAX; i++)
			at += (size_t)snprintf(ssh + at, sizeof(ssh) - at, "%.*s",
				key.data[i] == '\'' ? 4 : 1,
				key.data[i] == '\'' ? "'\\''" : key.data + i);
		snprintf(ssh + at, sizeof(ssh) - at, "'");
	}
	setenv("GIT_SSH_COMMAND", ssh, 1);
}

void environment_set(const struct plan_command *plan)
{
	remove_all();
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		setenv(fixed[i].name, fixed[i].value, 1);
	set_text("USER", plan->user, 0);
	set_text("LOGNAME", plan->user, 0);
	set_text("HOME", plan->home, 0);
	set_ssh(plan->ssh_key);
}
