/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Without a subreaper those can be followed that stay in the runner's session and those whose
 * parents live: who leaves both cannot be. */
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

/* False for one that is gone, or waits to be reaped. */
static bool read_info(pid_t pid, struct proc_bsdinfo *info)
{
	return proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, info, sizeof(*info)) == sizeof(*info);
}

static uint64_t started_of(const struct proc_bsdinfo *info)
{
	return info->pbi_start_tvsec * 1000000 + info->pbi_start_tvusec;
}

static void add(struct tree *tree, const pid_t *pids, int size)
{
	for (int i = 0; i < size && tree->count < TREE_LISTED_MAX; i++) {
		struct proc_bsdinfo info;
		if (pids[i] <= 1 || pids[i] == getpid() || is_listed(tree, pids[i]) ||
			!read_info(pids[i], &info))
			continue;
		struct tree_member *member = &tree->members[tree->count++];
		*member = (struct tree_member){.pid = pids[i],
			.started = started_of(&info),
			.user = info.pbi_uid,
			.state = 'S'};
		snprintf(member->name, sizeof(member->name), "%.16s", info.pbi_comm);
	}
}

/* Children and theirs, and in the end all of them by pid. */
static void add_descendants(struct tree *tree, pid_t root)
{
	pid_t pids[1024];
	if (root > 1)
		add(tree, pids, proc_listchildpids(root, pids, sizeof(pids)));
	for (uint32_t i = 0; i < tree->count; i++)
		add(tree, pids, proc_listchildpids(tree->members[i].pid, pids, sizeof(pids)));
}

static int by_pid(const void *a, const void *b)
{
	const struct tree_member *left = a, *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* Who lost its parent is launchd's child, and still of the session that the runner leads. */
static bool is_in_session(pid_t pid)
{
	return pid > 1 && pid != getpid() && getsid(pid) == getpid();
}

bool tree_list(struct tree *tree)
{
	pid_t pids[PIDS_MAX];
	int size = proc_listallpids(pids, sizeof(pids));
	tree->count = 0;
	for (int i = 0; i < size; i++) {
		if (is_in_session(pids[i]))
			add(tree, &pids[i], 1);
	}
	add_descendants(tree, getpid());
	qsort(tree->members, tree->count, sizeof(tree->members[0]), by_pid);
	return true;
}

bool tree_has_strays(void)
{
	pid_t pids[PIDS_MAX];
	struct proc_bsdinfo info;
	int size = proc_listallpids(pids, sizeof(pids));
	for (int i = 0; i < size; i++) {
		if (is_in_session(pids[i]) && read_info(pids[i], &info))
			return true;
	}
	return false;
}

/* A leader of that number who started at another time has a session of his own. */
static bool is_session_ours(const struct tree_search *search)
{
	struct proc_bsdinfo leader;
	return search->runner > 1 &&
	       (search->runner_started == 0 || !read_info(search->runner, &leader) ||
		       started_of(&leader) == search->runner_started);
}

static bool is_known(pid_t pid, const struct tree_search *search)
{
	for (uint32_t i = 0; i < search->known_count; i++) {
		if (search->known[i] == pid)
			return true;
	}
	return pid == search->keeper;
}

static bool is_left(pid_t pid, const struct tree_search *search)
{
	struct proc_bsdinfo info;
	return !is_known(pid, search) &&
	       (getsid(pid) == search->runner || getpgid(pid) == search->runner) &&
	       read_info(pid, &info) && started_of(&info) >= search->runner_started;
}

/* The session's; nobody is handed orphans here, so what left it cannot be found. */
bool tree_list_left(struct tree *tree, const struct tree_search *search)
{
	pid_t pids[PIDS_MAX];
	int size = proc_listallpids(pids, sizeof(pids));
	tree->count = 0;
	bool is_ours = is_session_ours(search);
	for (int i = 0; i < size && is_ours; i++) {
		if (is_left(pids[i], search))
			add(tree, &pids[i], 1);
	}
	add_descendants(tree, 0);
	qsort(tree->members, tree->count, sizeof(tree->members[0]), by_pid);
	return size > 0;
}

/* There is no handle on a process here: the number is all there is. */
bool tree_send(const struct tree_member *member, int number)
{
	struct proc_bsdinfo info;
	return read_info(member->pid, &info) && started_of(&info) == member->started &&
	       kill(member->pid, number) == 0;
}
