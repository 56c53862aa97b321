/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Ending the tree, and the proof of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/runner/run.h"

#define LOOK_MS      5
#define ASK_AGAIN_MS 50
#define STAY_LOOK_MS 500

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

/* The cgroup, or the session, knows also those whose parent is somebody else. */
static bool is_over(const struct run *run)
{
	return is_empty() && cgroup_is_empty(&run->cgroup) && !tree_has_strays();
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
	run->proof.ended_count += tree_signal(&run->tree, &run->told, SIGCONT);
	run->told = run->tree;
}

static void wait_politely(struct run *run, struct mono until)
{
	struct mono next = {0};
	for (struct mono now = mono_now();
		!is_over(run) && !mono_reached(now, until) && !is_hurried(run); now = mono_now()) {
		if (mono_reached(now, next)) {
			ask_to_end(run);
			next = mono_after(mono_now(), ASK_AGAIN_MS);
		}
		run_attend(run, LOOK_MS);
	}
}

/* That something is left is what waitpid and the cgroup say; what it is, only the list can tell,
 * and a /proc that hides other users' processes tells nothing. */
static void describe_left(struct run *run)
{
	bool is_foreign;
	if (!tree_list(&run->tree))
		run->tree.count = 0;
	run->proof.left_count = run->tree.count;
	if (run->tree.count > 0) {
		is_foreign = run->tree.members[0].user != geteuid();
		tree_describe(&run->tree,
			run->cgroup.folder < 0 && is_foreign
				? ": the service must delegate its cgroup"
				: "",
			run->proof.left);
		return;
	}
	run->proof.left_count = cgroup_count(&run->cgroup);
	if (run->proof.left_count == 0)
		run->proof.left_count = 1;
	snprintf(run->proof.left, sizeof(run->proof.left),
		"at least %u process%s left that /proc does not show to this account",
		(unsigned)run->proof.left_count, run->proof.left_count == 1 ? " is" : "es are");
}

static void kill_all(struct run *run)
{
	struct mono until = mono_after(mono_now(), TREE_EMPTY_MS);
	while (!is_over(run) && !mono_reached(mono_now(), until)) {
		run->is_killed = true;
		if (cgroup_kill(&run->cgroup))
			run->proof.method = "cgroup";
		/* Also without a cgroup, and for what left it. */
		if (tree_list(&run->tree))
			tree_signal(&run->tree, NULL, SIGKILL);
		run_attend(run, LOOK_MS);
	}
}

void run_end_tree(struct run *run, bool polite, uint64_t grace_ms)
{
	struct mono start = mono_now();
	uint32_t before = run->proof.ended_count, inside = cgroup_count(&run->cgroup);
	run->is_killed = false;
	run->proof.left_count = 0;
	run->proof.left[0] = '\0';
	if (is_over(run))
		return;
	run->proof.method = "signals";
	run->told.count = 0;
	if (polite)
		wait_politely(run, mono_after(start, grace_ms));
	else if (tree_list(&run->tree))
		run->proof.ended_count += run->tree.count;
	kill_all(run);
	/* Signals do not reach other users' processes, and their cgroup does. */
	if (run->proof.ended_count < before + inside)
		run->proof.ended_count = before + inside;
	if (!is_over(run))
		describe_left(run);
	run->proof.ended_count -= run->proof.left_count < run->proof.ended_count - before
					  ? run->proof.left_count
					  : run->proof.ended_count - before;
	run->proof.ended_ms += mono_ms_since(mono_now(), start);
}

void run_stay(struct run *run)
{
	bool is_first = true;
	while (run->asked != ASKED_INTERRUPT && !is_over(run)) {
		if (is_first)
			log_warn("%s; no other command starts until it is gone", run->proof.left);
		is_first = false;
		fd_drop(&run->record_fd);
		run_attend(run, STAY_LOOK_MS);
	}
}
