/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Without a subreaper only those can be followed whose parents live; the outcome says so. */
#include "supervisor/runner/tree.h"

#include <libproc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void add_children(struct tree *tree, pid_t parent)
{
	pid_t pids[1024];
	int size = proc_listchildpids(parent, pids, sizeof(pids));
	for (int i = 0; i < size && tree->count < TREE_LISTED_MAX; i++) {
		struct proc_bsdinfo info;
		if (proc_pidinfo(pids[i], PROC_PIDTBSDINFO, 0, &info, sizeof(info)) != sizeof(info))
			continue;
		struct tree_member *member = &tree->members[tree->count++];
		*member = (struct tree_member){.pid = pids[i], .user = info.pbi_uid, .state = 'S'};
		snprintf(member->name, sizeof(member->name), "%.16s", info.pbi_comm);
	}
}

bool tree_list(struct tree *tree)
{
	tree->count = 0;
	add_children(tree, getpid());
	for (uint32_t i = 0; i < tree->count; i++)
		add_children(tree, tree->members[i].pid);
	return true;
}

uint32_t tree_signal(const struct tree *tree, int number)
{
	uint32_t reached = 0;
	for (uint32_t i = 0; i < tree->count; i++) {
		pid_t pid = tree->members[i].pid;
		if (pid > 1 && pid != getpid() && pid != getppid())
			reached += kill(pid, number) == 0;
	}
	return reached;
}
