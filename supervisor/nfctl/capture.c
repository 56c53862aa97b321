/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/nfctl/reader.h"

#define PIECE_BYTES 65536

_Noreturn static void become(const char *const argv[], int out)
{
	int null = open("/dev/null", O_RDONLY);
	char *const *words;
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	memcpy(&words, &argv, sizeof(words)); /* writable by its type, not by what it does */
	execvp(words[0], words);
	_exit(127);
}

/* False: it was not done in time, or printed too much. */
static bool read_all(int fd, struct mono until, struct bytes *bytes)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t got = 1;
	do {
		int ready = poll(&wait, 1, (int)mono_ms_until(mono_now(), until));
		if (ready < 0 && errno == EINTR)
			continue;
		uint8_t *to = ready > 0 ? bytes_reserve(bytes, PIECE_BYTES) : NULL;
		if (!to)
			return false;
		got = read(fd, to, PIECE_BYTES);
		if (got > 0)
			bytes_grew(bytes, (uint32_t)got);
	} while (got > 0);
	return true;
}

void capture(const char *const argv[], struct mono until, struct bytes *bytes)
{
	int ends[2];
	if (pipe(ends) < 0)
		return;
	fd_cloexec(ends[0], true);
	fd_cloexec(ends[1], true);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, ends[1]);
	close(ends[1]);
	bool is_done = pid > 0 && read_all(ends[0], until, bytes);
	close(ends[0]);
	if (!is_done)
		bytes_append_text(bytes, "\n(it was not done in time, or said too much)\n");
	if (pid > 0)
		reader_let_go(pid);
}
