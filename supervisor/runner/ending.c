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

#define LOOK_MS 5

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

static void wait_until_empty(struct run *run, struct mono until, bool may_hurry)
{
	while (!is_empty() && !mono_reached(mono_now(), until) &&
		!(may_hurry && run->asked >= ASKED_KILL && run->asked != ASKED_INTERRUPT))
		run_attend(run, LOOK_MS);
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
			tree_signal(&run->tree, SIGKILL);
		wait_until_empty(run, mono_after(mono_now(), LOOK_MS), false);
	}
}

void run_end_tree(struct run *run, bool polite, uint64_t grace_ms)
{
	struct mono start = mono_now();
	if (is_empty())
		return;
	run->method = "signals";
	if (!tree_list(&run->tree))
		run->tree.count = 0;
	run->ended_count += run->tree.count;
	if (polite) {
		tree_signal(&run->tree, SIGTERM);
		tree_signal(&run->tree, SIGCONT); /* what is stopped hears nothing else */
		wait_until_empty(run, mono_after(start, grace_ms), true);
	}
	kill_all(run);
	if (!is_empty() && tree_list(&run->tree) && run->tree.count > 0)
		describe_left(run);
	run->ended_ms += mono_ms_since(mono_now(), start);
}
