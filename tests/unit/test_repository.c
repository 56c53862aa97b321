/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The process that looks at the repository, and when it is asked. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/repository.h"

#define LOOK_MS 10000 /* far more than one takes */

static char folder[64];
static struct event_base *base;
static struct repository repository;

/* Runs a shell script in the folder. */
static void run(const char *script)
{
	char command[1024];
	snprintf(command, sizeof(command), "cd %s && export HOME=%s && %s", folder, folder, script);
	cr_assert(eq(int, system(command), 0), "%s", script);
}

static void commit(void)
{
	run("git -c user.name=a -c user.email=a@b -c init.defaultBranch=main commit -q "
	    "--allow-empty -m x");
}

static int inherited = -1; /* the end of a pipe that only who looks could still have */

/* A worker may begin with any number: its supervisor had so many open then. */
#define INHERITED_FD 200

static void inherit(void)
{
	int ends[2];
	cr_assert(eq(int, pipe(ends), 0));
	cr_assert(eq(int, dup2(ends[1], INHERITED_FD), INHERITED_FD));
	close(ends[1]);
	inherited = ends[0];
}

static void start(void)
{
	inherit();
	snprintf(folder, sizeof(folder), "/tmp/nixfleet-repository-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(folder), NULL));
	cr_assert(eq(int, repository_fork(&repository), 0));
	close(INHERITED_FD);
	base = event_base_new();
	run("git -c init.defaultBranch=main init -q");
	commit();
	cr_assert(eq(int, repository_start(&repository, base, folder, true), 0));
}

static void finish(void)
{
	repository_end(&repository);
	run("rm -rf $HOME");
}

TestSuite(repository, .init = start, .fini = finish);

static void settle(void)
{
	struct mono end = mono_after(mono_now(), LOOK_MS);
	while (!repository_is_settled(&repository)) {
		cr_assert(not(mono_reached(mono_now(), end)));
		event_base_loop(base, EVLOOP_ONCE);
		repository_work(&repository, mono_now());
	}
}

/* True: somebody looked. */
static bool ask(struct mono now)
{
	repository_ask(&repository, now);
	bool was_asked = !repository_is_settled(&repository);
	settle();
	return was_asked;
}

/* Until what was seen last is watched: from the second look on, where it can be. */
static struct mono be_watched(void)
{
	struct mono now = mono_now();
	ask(now);
	ask(now);
	if (!repository.shared->is_watched)
		cr_skip_test("skipped: this kernel does not tell of changes in a folder");
	return now;
}

static void expect_move(void)
{
	for (int left = LOOK_MS; !atomic_load(&repository.shared->has_moved); left--) {
		cr_assert(gt(int, left, 0));
		poll(NULL, 0, 1);
	}
}

static void expect_head(void)
{
	char path[128], said[COMMIT_BYTES_MAX + 2] = "";
	snprintf(path, sizeof(path), "git -C %s rev-parse HEAD", folder);
	FILE *git = popen(path, "r");
	cr_assert(ne(ptr, fgets(said, sizeof(said), git), NULL));
	pclose(git);
	said[strcspn(said, "\n")] = '\0';
	cr_assert(eq(str, repository.known.commit, said));
}

Test(repository, nobody_looks_while_nothing_changes)
{
	struct mono now = be_watched();
	expect_head();
	cr_assert(not(ask(now)));
	cr_assert(not(ask(mono_after(now, FACTS_THOROUGH_MS - 1))));
	cr_assert(ask(mono_after(now, FACTS_THOROUGH_MS)));
}

Test(repository, what_changes_is_seen_at_the_next_look)
{
	static const char *const changes[] = {
		"git checkout -q -b other",                         /* HEAD */
		"git checkout -q -b a/deeper/one",                  /* another folder of refs */
		"git pack-refs --all",                              /* no loose ref */
		"git checkout -q --detach",                         /* no ref */
		"git rev-parse HEAD~ > new && cat new > .git/HEAD", /* in place */
		"mv .git old && cp -r old .git && git checkout -q main", /* another repository */
	};
	struct mono now = be_watched();
	commit();
	expect_move();
	cr_assert(ask(now));
	expect_head();
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (repository.shared->is_watched)
			cr_assert(not(ask(now)), "%s", changes[i]);
		run(changes[i]);
		if (repository.shared->is_watched)
			expect_move();
		cr_assert(ask(now), "%s", changes[i]);
		expect_head();
		ask(now); /* and where it lies now is watched */
	}
	cr_assert(not(ask(now)));
}

Test(repository, the_end_of_a_command_makes_a_look_due)
{
	struct mono now = be_watched();
	run("echo '{}' > flake.lock"); /* beside what is watched */
	cr_assert(not(ask(now)));
	repository_changed(&repository);
	cr_assert(ask(now));
	cr_assert(ne(str, repository.known.lock_hash, ""));
}

Test(repository, one_that_git_keeps_in_more_places_is_looked_at_each_time)
{
	run("git worktree add -q tree");
	snprintf(repository.shared->dir, sizeof(repository.shared->dir), "%s/tree", folder);
	struct mono now = mono_now();
	for (int i = 0; i < 4; i++)
		cr_assert(ask(now));
	cr_assert(ne(str, repository.known.commit, ""));
}

Test(repository, who_looks_holds_no_descriptor_of_the_workers)
{
	char byte;
	ask(mono_now());
	struct pollfd wait = {.fd = inherited, .events = POLLIN};
	cr_assert(eq(int, poll(&wait, 1, 0), 1));
	cr_assert(eq(int, (int)read(inherited, &byte, 1), 0));
}

/* The worker's end must not wait for somebody who was stopped. */
Test(repository, the_end_waits_for_nobody_who_is_stopped, .timeout = 20)
{
	struct mono start = mono_now();
	ask(start);
	kill(repository.looker, SIGSTOP);
	alarm(10);
	repository_end(&repository);
	alarm(0);
	kill(repository.looker, SIGKILL);
}
