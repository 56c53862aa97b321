/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whose children are ended after a runner's death. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/orphans.h"
#include "supervisor/platform.h"

#define LOOK_MS 5

/* In a session of its own, as all that a runner leaves. */
static pid_t sleeper(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		alarm(60); /* whatever becomes of the test */
		setsid();
		for (;;)
			pause();
	}
	while (getsid(pid) != pid)
		poll(NULL, 0, LOOK_MS);
	return pid;
}

/* A number that was a process's and is nobody's now. */
static pid_t dead_pid(uint64_t *start_ticks)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	*start_ticks = platform_start_ticks(pid);
	waitpid(pid, NULL, 0);
	return pid;
}

/* In a store child. */
static void settle(const struct record *record, pid_t keeper)
{
	struct orphans orphans = {.run = text_of("run"), .keeper = keeper};
	orphans_end(record, &orphans);
	_exit(0);
}

Test(orphans, what_was_handed_to_the_supervisor_is_ended)
{
	struct record record = {0};
	record.pid = (uint64_t)dead_pid(&record.start_ticks);
	pid_t orphan = sleeper();
	pid_t child = fork();
	if (child == 0)
		settle(&record, getppid());
	waitpid(child, NULL, 0);
	int status = 0;
	cr_assert(eq(int, waitpid(orphan, &status, WNOHANG), orphan));
	cr_assert(eq(int, WTERMSIG(status), SIGKILL));
}

/* The disk held a store child up until its supervisor was gone: it is a child of the user's service
 * manager now, whose other children are no orphans of ours. */
Test(orphans, who_took_the_store_child_in_keeps_its_own_children)
{
	struct record record = {0};
	record.pid = (uint64_t)dead_pid(&record.start_ticks);
	cr_assert(eq(int, platform_become_subreaper(), 0));
	pid_t service = sleeper();
	pid_t supervisor = fork();
	if (supervisor == 0) {
		pid_t self = getpid();
		if (fork() > 0)
			_exit(0);
		while (getppid() == self)
			poll(NULL, 0, LOOK_MS);
		settle(&record, self);
	}
	waitpid(supervisor, NULL, 0);
	/* The service is left as the only child. */
	pid_t ended = waitpid(-1, NULL, 0);
	cr_assert(ne(int, ended, service));
	cr_assert(eq(int, waitpid(service, NULL, WNOHANG), 0));
	kill(service, SIGKILL);
	waitpid(service, NULL, 0);
}
