/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Ending the tree, and the proof of it. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/runner/run.h"

#define LOOK_MS      5
#define ASK_AGAIN_MS 50

/* Empty: as a subreaper this process has no child when there is no descendant any more. */
static bool is_empty(void)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid == 0)
			return false;
		if (pid < 0)
			return errno == ECHILD;
	}
}

static bool is_hurried(const struct run *run)
{
	return run->asked == ASKED_KILL;
}

/* TERM to all, and to who is born meanwhile: a shell that forks while it is being ended leaves
 * children that nobody told. CONT, because what is stopped hears nothing else. */
static void ask_to_end(struct run *run)
{
	if (!tree_list(&run->tree))
		run->tree.count = 0;
	tree_signal(&run->tree, &run->told, SIGTERM);
	run->ended_count += tree_signal(&run->tree, &run->told, SIGCONT);
	run->told = run->tree;
}

static void wait_politely(struct run *run, struct mono until)
{
	struct mono next = {0};
	for (struct mono now = mono_now();
		!is_empty() && !mono_reached(now, until) && !is_hurried(run); now = mono_now()) {
		if (mono_reached(now, next)) {
			ask_to_end(run);
			next = mono_after(mono_now(), ASK_AGAIN_MS);
		}
		run_attend(run, LOOK_MS);
	}
}

static void describe_left(struct run *run)
{
	const struct tree_member *first = &run->tree.members[0];
	const char *user = "another user";
	if (first->user == 0)
		user = "root";
	else if (first->user == geteuid())
		user = "the agent's own user";
	run->left_count = run->tree.count;
	snprintf(run->left, sizeof(run->left), "%u process%s of %s left (%s, pid %d, state %c)%s",
		(unsigned)run->tree.count, run->tree.count == 1 ? "" : "es", user, first->name,
		(int)first->pid, first->state,
		run->cgroup.folder < 0 && first->user != geteuid()
			? ": the service must delegate its cgroup"
			: "");
}

static void kill_all(struct run *run)
{
	struct mono until = mono_after(mono_now(), TREE_EMPTY_MS);
	while (!is_empty() && !mono_reached(mono_now(), until)) {
		if (cgroup_kill(&run->cgroup))
			run->method = "cgroup";
		/* Also without a cgroup, and for what left it. */
		if (tree_list(&run->tree))
			tree_signal(&run->tree, NULL, SIGKILL);
		run_attend(run, LOOK_MS);
	}
}

void run_end_tree(struct run *run, bool polite, uint64_t grace_ms)
{
	struct mono start = mono_now();
	if (is_empty())
		return;
	run->method = "signals";
	run->told.count = 0;
	if (polite)
		wait_politely(run, mono_after(start, grace_ms));
	else if (tree_list(&run->tree))
		run->ended_count += run->tree.count;
	kill_all(run);
	if (!is_empty() && tree_list(&run->tree) && run->tree.count > 0)
		describe_left(run);
	run->ended_ms += mono_ms_since(mono_now(), start);
}
