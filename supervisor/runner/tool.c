/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/time.h"

static pid_t start(const char *const argv[], int *out)
{
	int ends[2];
	if (pipe(ends) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		char *const *words;
		memcpy(&words, &argv,
			sizeof(words)); /* writable by its type, not by what it does */
		execvp(words[0], words);
		_exit(127);
	}
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	*out = ends[0];
	return pid;
}

bool tool_ask(const char *const argv[], char answer[TOOL_ANSWER_BYTES])
{
	int out, status = -1;
	size_t have = 0;
	ssize_t got = 1;
	struct mono until = mono_after(mono_now(), TOOL_ASK_MS);
	*answer = '\0';
	pid_t pid = start(argv, &out);
	if (pid < 0)
		return false;
	struct pollfd wait = {.fd = out, .events = POLLIN};
	while (got > 0 && have < TOOL_ANSWER_BYTES - 1 && !mono_reached(mono_now(), until)) {
		if (poll(&wait, 1, (int)mono_ms_until(mono_now(), until)) <= 0)
			continue; /* a signal, or the time is up */
		got = read(out, answer + have, TOOL_ANSWER_BYTES - 1 - have);
		have += got > 0 ? (size_t)got : 0;
	}
	answer[have] = '\0';
	close(out);
	if (got != 0)
		kill(pid, SIGKILL); /* our own child, not reaped yet */
	return waitpid(pid, &status, 0) == pid && status == 0;
}
