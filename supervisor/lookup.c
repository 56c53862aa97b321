/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/lookup.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "supervisor/platform.h"

#define FIRST_OWN (STDERR_FILENO + 1)

/* A name service that is silent may hold it up for longer than its parent lives: so it keeps
 * nothing of its parent's, the locks above all. */
_Noreturn static void answer_and_end(int out, pid_t parent,
	void (*look)(void *answer, const char *question), const char *question, void *answer,
	size_t size)
{
	if (dup2(out, FIRST_OWN) < 0)
		_exit(1);
	platform_close_from(FIRST_OWN + 1);
	if (!platform_die_with_parent(parent))
		_exit(1);
	look(answer, question);
	_exit(fd_write_all(FIRST_OWN, answer, size) < 0);
}

bool lookup_ask(void (*look)(void *answer, const char *question), const char *question,
	void *answer, size_t size)
{
	int ends[2];
	if (pipe(ends) < 0)
		return false;
	void *found = calloc(1, size);
	check(found != NULL);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		answer_and_end(ends[1], parent, look, question, found, size);
	close(ends[1]);
	struct pollfd wait = {.fd = ends[0], .events = POLLIN};
	bool is_there = pid > 0 && poll(&wait, 1, LOOKUP_MS) > 0 &&
			fd_read_all(ends[0], found, size) == (ssize_t)size;
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL); /* our own child, not reaped yet */
		waitpid(pid, NULL, 0);
	}
	if (is_there)
		memcpy(answer, found, size);
	free(found);
	return is_there;
}
