/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Without a subreaper only those can be followed whose parents live; the outcome says so. */
#include "supervisor/runner/tree.h"

#include <libproc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIDS_MAX 8192

static bool is_listed(const struct tree *tree, pid_t pid)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		if (tree->members[i].pid == pid)
			return true;
	}
	return false;
}

static void add(struct tree *tree, const pid_t *pids, int size)
{
	for (int i = 0; i < size && tree->count < TREE_LISTED_MAX; i++) {
		struct proc_bsdinfo info;
		if (pids[i] <= 1 || pids[i] == getpid() || is_listed(tree, pids[i]) ||
			proc_pidinfo(pids[i], PROC_PIDTBSDINFO, 0, &info, sizeof(info)) !=
				sizeof(info))
			continue;
		struct tree_member *member = &tree->members[tree->count++];
		*member = (struct tree_member){.pid = pids[i],
			.started = info.pbi_start_tvsec * 1000000 + info.pbi_start_tvusec,
			.user = info.pbi_uid,
			.state = 'S'};
		snprintf(member->name, sizeof(member->name), "%.16s", info.pbi_comm);
	}
}

static void add_children(struct tree *tree, pid_t parent)
{
	pid_t pids[1024];
	add(tree, pids, proc_listchildpids(parent, pids, sizeof(pids)));
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

/* The session's; nobody is handed orphans here, so what left it cannot be found. */
bool tree_list_left(struct tree *tree, const struct tree_search *search)
{
	pid_t pids[PIDS_MAX];
	int size = proc_listallpids(pids, sizeof(pids));
	tree->count = 0;
	for (int i = 0; i < size && search->runner > 1; i++) {
		if (pids[i] != search->keeper &&
			(getsid(pids[i]) == search->runner || getpgid(pids[i]) == search->runner))
			add(tree, &pids[i], 1);
	}
	for (uint32_t i = 0; i < tree->count; i++)
		add_children(tree, tree->members[i].pid);
	qsort(tree->members, tree->count, sizeof(tree->members[0]), by_pid);
	return size > 0;
}

/* There is no handle on a process here: the number is all there is. */
bool tree_send(const struct tree_member *member, int number)
{
	struct proc_bsdinfo info;
	return proc_pidinfo(member->pid, PROC_PIDTBSDINFO, 0, &info, sizeof(info)) ==
		       sizeof(info) &&
	       info.pbi_start_tvsec * 1000000 + info.pbi_start_tvusec == member->started &&
	       kill(member->pid, number) == 0;
}
