/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/probe_run.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/limits.h"
#include "supervisor/spawn.h"

int probe_run(const char *path, const char *const argv[], char *line, size_t room)
{
	int ends[2], status = -1;
	*line = '\0';
	if (pipe(ends) < 0)
		return -1;
	pid_t pid = spawn_helper(&(struct spawn){.path = path,
		.argv = argv,
		.fds = {-1, ends[1], STDERR_FILENO, -1, -1},
		.dies_with_us = true});
	close(ends[1]);
	struct pollfd wait = {.fd = ends[0], .events = POLLIN};
	if (pid > 0 && poll(&wait, 1, PROBE_KILL_MS) <= 0)
		kill(pid, SIGKILL);
	ssize_t size = pid > 0 ? fd_read_all(ends[0], line, room - 1) : 0;
	line[size > 0 ? size : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	close(ends[0]);
	if (pid <= 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
