/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who belongs to a run, and who is sent a signal. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/platform.h"
#include "supervisor/runner/cgroup.h"
#include "supervisor/runner/tree.h"

static struct tree tree;

static const struct tree_member *find(pid_t pid)
{
	for (uint32_t i = 0; i < tree.count; i++) {
		if (tree.members[i].pid == pid)
			return &tree.members[i];
	}
	return NULL;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static bool lives(pid_t pid)
{
	poll(NULL, 0, 20);
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(tree, a_later_process_of_the_same_number_is_never_hit)
{
	pid_t child = sleeper();
	cr_assert(tree_list(&tree) && find(child) != NULL);
	struct tree_member other = *find(child);
	cr_assert(eq(u64, other.started, platform_start_ticks(child)));
	other.started++;
	cr_assert(tree_send(&other, SIGKILL) == false);
	cr_assert(lives(child));
	other.started--;
	cr_assert(tree_send(&other, SIGKILL) == true);
	waitpid(child, NULL, 0);
	cr_assert(tree_send(&other, SIGKILL) == false);
}

Test(tree, nobody_below_two_and_no_parent_is_sent_anything)
{
	tree = (struct tree){.count = 3};
	tree.members[0] = (struct tree_member){.pid = 0};
	tree.members[1] = (struct tree_member){.pid = 1, .started = platform_start_ticks(1)};
	tree.members[2] = (struct tree_member){
		.pid = getppid(), .started = platform_start_ticks(getppid())};
	cr_assert(eq(u32, tree_signal(&tree, NULL, 0), 0));
}

/* A runner with a child in its session, one that left the session, and an orphan of this process,
 * which stands for the supervisor. Its pids, by a pipe. */
struct family {
	pid_t runner, in_session, handed;
};

static struct family dead_runner(void)
{
	struct family family = {0};
	int ends[2];
	cr_assert(pipe(ends) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	family.runner = fork();
	if (family.runner == 0) {
		setsid();
		family.in_session = fork();
		if (family.in_session == 0)
			for (;;)
				pause();
		family.handed = fork();
		if (family.handed == 0) {
			setsid();
			for (;;)
				pause();
		}
		while (getsid(family.handed) != family.handed)
			poll(NULL, 0, 1);
		_exit(write(ends[1], &family, sizeof(family)) != sizeof(family));
	}
	pid_t runner = family.runner;
	cr_assert(read(ends[0], &family, sizeof(family)) == sizeof(family));
	family.runner = runner;
	close(ends[0]);
	close(ends[1]);
	return family;
}

Test(tree, what_a_dead_runner_left_is_found_in_session_and_out_of_it)
{
	pid_t worker = sleeper();
	struct family family = dead_runner();
	uint64_t started = platform_start_ticks(family.runner);
	waitpid(family.runner, NULL, 0);
	/* A dead worker's that hangs on the repository's disk, say, and was handed to it, too. */
	pid_t of_agent = sleeper();
	struct tree_search search = {.runner = family.runner,
		.runner_started = started,
		.keeper = getpid(),
		.known = &worker,
		.known_count = 1,
		.since = UINT64_MAX};
	/* The child that settles is a child of the keeper. */
	pid_t child = fork();
	if (child == 0) {
		bool is_right = tree_list_left(&tree, &search) && find(family.in_session) &&
				find(family.handed) && !find(worker) && !find(of_agent) &&
				!find(getppid()) && !find(getpid()) && tree.count == 2;
		_exit(is_right ? 0 : 1);
	}
	int status = 0;
	waitpid(child, &status, 0);
	cr_assert(eq(int, status, 0));
	/* Another one of the runner's number who started at another time is none of ours. */
	search.keeper = 1;
	search.runner = getsid(0);
	search.runner_started = platform_start_ticks(getsid(0)) + 1;
	cr_assert(tree_list_left(&tree, &search));
	cr_assert(eq(u32, tree.count, 0));
	end(worker);
	end(of_agent);
	end(family.in_session);
	end(family.handed);
}

Test(cgroup, a_path_of_the_record_must_be_this_runs_own)
{
	struct cgroup made, cgroup;
	char path[PATH_BYTES_MAX + 64];
	struct text run = text_of("20261123T170211Z-test-unit");
	if (!cgroup_create(&made, run))
		cr_skip_test("skipped: no cgroup can be made here");
	cr_assert(cgroup_open(&cgroup, made.path, run) == true);
	close(cgroup.folder);
	cr_assert(cgroup_open(&cgroup, made.path, text_of("another")) == false);
	snprintf(path, sizeof(path), "%s/..", made.path);
	cr_assert(cgroup_open(&cgroup, path, run) == false);
	snprintf(path, sizeof(path), "/tmp/nixfleet-%.*s", TEXT_ARGS(run));
	cr_assert(cgroup_open(&cgroup, path, run) == false);
	cgroup_destroy(&made);
	cr_assert(cgroup_open(&cgroup, "", run) == false);
}

Test(cgroup, one_that_holds_the_agent_is_never_opened)
{
	struct cgroup made, cgroup;
	struct text run = text_of("20261123T170211Z-test-held");
	if (!cgroup_create(&made, run))
		cr_skip_test("skipped: no cgroup can be made here");
	pid_t child = cgroup_fork(&made);
	if (child == 0) {
		/* Itself and its parent are what must not be in there. */
		_exit(cgroup_open(&cgroup, made.path, run) ? 1 : 0);
	}
	int status = 1;
	waitpid(child, &status, 0);
	cgroup_destroy(&made);
	cr_assert(eq(int, status, 0));
}
