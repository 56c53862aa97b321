/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/operators.h"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/platform.h"

#define LOOKUP_MS 2000
#define FIRST_OWN (STDERR_FILENO + 1)

static void look_up(struct operators *operators, const char *name)
{
	const struct group *group = getgrnam(name);
	if (!group)
		return;
	operators->has_group = true;
	operators->group = group->gr_gid;
	for (char **member = group->gr_mem; *member; member++) {
		const struct passwd *account = getpwnam(*member);
		if (account && operators->count < OPERATORS_MAX)
			operators->users[operators->count++] = account->pw_uid;
	}
}

/* A name service that is silent may hold it up for longer than its parent lives: so it keeps
 * nothing of its parent's, the locks above all. */
_Noreturn static void answer(int out, const char *group, pid_t parent)
{
	struct operators found = {0};
	if (dup2(out, FIRST_OWN) < 0)
		_exit(1);
	platform_close_from(FIRST_OWN + 1);
	if (!platform_die_with_parent(parent))
		_exit(1);
	look_up(&found, group);
	_exit(fd_write_all(FIRST_OWN, &found, sizeof(found)) < 0);
}

/* The child is a copy of this very program, so the struct itself is what both mean. */
static void ask_child(int ends[2], struct operators *operators, const char *group)
{
	struct operators found = {0};
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		answer(ends[1], group, parent);
	fd_drop(&ends[1]);
	struct pollfd wait = {.fd = ends[0], .events = POLLIN};
	bool is_there = pid > 0 && poll(&wait, 1, LOOKUP_MS) > 0;
	if (is_there && fd_read_all(ends[0], &found, sizeof(found)) == (ssize_t)sizeof(found))
		*operators = found;
	else
		log_warn("group %s could not be looked up in %d s: only root and the agent's own "
			 "user may "
			 "change things",
			group, LOOKUP_MS / 1000);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

void operators_read(struct operators *operators, const char *group)
{
	int ends[2];
	*operators = (struct operators){0};
	if (pipe(ends) < 0)
		return;
	ask_child(ends, operators, group);
	fd_drop(&ends[0]);
	fd_drop(&ends[1]);
}

bool operators_include(const struct operators *operators, uid_t user, gid_t group)
{
	if (operators->has_group && group == operators->group)
		return true;
	for (uint32_t i = 0; i < operators->count; i++) {
		if (operators->users[i] == user)
			return true;
	}
	return false;
}
