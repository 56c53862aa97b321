/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/isolation.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "proto/base/time.h"
#include "supervisor/runner/cgroup.h"
#include "supervisor/runner/tool.h"

#define LOOK_MS 20

static bool is_marked(const char *path, const char *attribute)
{
	char value[8] = "";
	ssize_t size = getxattr(path, attribute, value, sizeof(value) - 1);
	return size == 1 && value[0] == '1';
}

/* A user's manager marks nothing before systemd 254, and every cgroup below it is the account's: it
 * is asked, and also whether a stop leaves alone what is in there. */
static bool is_delegated_by_user(const char *path)
{
	char answer[TOOL_ANSWER_BYTES], unit[NAME_MAX + 1];
	const char *const argv[] = {
		"systemctl", "--user", "show", "-p", "Delegate,KillMode", "--", unit, NULL};
	const char *last = strrchr(path, '/');
	snprintf(unit, sizeof(unit), "%.*s", NAME_MAX, last ? last + 1 : path);
	return tool_ask(argv, answer) && strstr(answer, "Delegate=yes\n") &&
	       strstr(answer, "KillMode=process\n");
}

/* systemd marks what it delegates; what it delegates to an account it also gives to it. */
static bool is_delegated(const char *path)
{
	return is_marked(path, "user.delegate") || is_marked(path, "trusted.delegate") ||
	       (geteuid() != 0 && access(path, W_OK) == 0 && !strstr(path, "/user@"));
}

enum isolation isolation_find(void)
{
	char path[PATH_BYTES_MAX + 1];
	const char *invocation = getenv("INVOCATION_ID");
	if (!invocation || !*invocation || !cgroup_own(path) || !strstr(path, ".service"))
		return ISOLATION_NO_SERVICE;
	if (is_delegated(path))
		return ISOLATION_DELEGATED;
	if (strstr(path, "/user@"))
		return is_delegated_by_user(path) ? ISOLATION_DELEGATED : ISOLATION_USER_SCOPE;
	return geteuid() == 0 ? ISOLATION_SCOPE : ISOLATION_SHARED;
}

const char *isolation_text(enum isolation isolation)
{
	switch (isolation) {
	case ISOLATION_NO_SERVICE: return "no service: a command outlives the agent";
	case ISOLATION_DELEGATED:
		return "the service delegates its cgroup: a command outlives a stop and is ended "
		       "whole";
	case ISOLATION_SCOPE:
	case ISOLATION_USER_SCOPE:
		return "a command gets a scope of its own: the unit lacks Delegate=yes or "
		       "KillMode=process";
	case ISOLATION_SHARED: break;
	}
	return "a stop of the service would end a running command: its unit needs Delegate=yes and "
	       "KillMode=process";
}

/* systemd moves a process when the job that makes the scope is done. */
static bool await_scope(const char *scope)
{
	char path[PATH_BYTES_MAX + 1];
	struct mono until = mono_after(mono_now(), TOOL_ASK_MS);
	while (!mono_reached(mono_now(), until)) {
		if (cgroup_own(path) && strstr(path, scope))
			return true;
		poll(NULL, 0, LOOK_MS);
	}
	return false;
}

bool isolation_leave_service(enum isolation isolation, struct text run)
{
	char scope[RUN_NAME_BYTES_MAX + 32], pid[16], answer[TOOL_ANSWER_BYTES];
	if (isolation != ISOLATION_SCOPE && isolation != ISOLATION_USER_SCOPE)
		return false;
	snprintf(scope, sizeof(scope), "nixfleet-%.*s.scope", TEXT_ARGS(run));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	/* What systemd-run --scope does, for a process that is there already. */
	const char *const argv[] = {"busctl",
		isolation == ISOLATION_USER_SCOPE ? "--user" : "--system", "call",
		"org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", scope,
		"fail", "4", "PIDs", "au", "1", pid, "Delegate", "b", "true", "CollectMode", "s",
		"inactive-or-failed", "Description", "s", "a command of nixfleet-agent", "0", NULL};
	return tool_ask(argv, answer) && await_scope(scope);
}
