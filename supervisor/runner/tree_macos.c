/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Without a subreaper only those can be followed whose parents live; the outcome says so. */
#include "supervisor/runner/tree.h"

#include <libproc.h>
#include <stdio.h>
#include <stdlib.h>
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

static int by_pid(const void *a, const void *b)
{
	const struct tree_member *left = a, *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

bool tree_list(struct tree *tree)
{
	tree->count = 0;
	add_children(tree, getpid());
	for (uint32_t i = 0; i < tree->count; i++)
		add_children(tree, tree->members[i].pid);
	qsort(tree->members, tree->count, sizeof(tree->members[0]), by_pid);
	return true;
}
