/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/tree.h"

#include <signal.h>
#include <unistd.h>

uint32_t tree_signal(const struct tree *tree, const struct tree *told, int number)
{
	uint32_t reached = 0, at = 0;
	for (uint32_t i = 0; i < tree->count; i++) {
		pid_t pid = tree->members[i].pid;
		while (told && at < told->count && told->members[at].pid < pid)
			at++;
		if (told && at < told->count && told->members[at].pid == pid)
			continue;
		if (pid > 1 && pid != getpid() && pid != getppid())
			reached += kill(pid, number) == 0;
	}
	return reached;
}
