/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define LET_GO_MS 500
#define LOOK_MS   5

/* What stands before each file. The last one has no name. */
struct head {
	char name[READER_NAME_BYTES_MAX + 1];
	uint32_t size;
};

static void give(int out, const char *name, const uint8_t *content, uint32_t size)
{
	struct head head = {.size = size};
	memcpy(head.name, name, strlen(name) + 1);
	/* Who does not read any more has no use for the rest. */
	if (fd_write_all(out, &head, sizeof(head)) < 0 || fd_write_all(out, content, size) < 0)
		_exit(1);
}

void reader_give(int out, const char *name, const char *path, int flags)
{
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t from = size > READER_FILE_BYTES_MAX ? size - READER_FILE_BYTES_MAX : 0;
	uint8_t *content = size > 0 ? malloc((size_t)(size - from)) : NULL;
	ssize_t got = content ? fd_read_at(fd, content, (size_t)(size - from), from) : 0;
	if (got > 0 && strlen(name) <= READER_NAME_BYTES_MAX)
		give(out, name, content, (uint32_t)got);
	free(content);
}

/* One that is left behind must not hold up who waits for the end of what this program prints. */
static void leave_streams(void)
{
	own_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
}

int reader_open(struct reader *reader, void (*work)(int out, void *data), void *data)
{
	int ends[2];
	if (pipe(ends) < 0)
		return -1;
	fd_cloexec(ends[0], true);
	fd_cloexec(ends[1], true);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		leave_streams();
		work(ends[1], data);
		give(ends[1], "", NULL, 0);
		_exit(0);
	}
	close(ends[1]);
	*reader = (struct reader){pid, ends[0]};
	if (pid > 0)
		return 0;
	close(ends[0]);
	return -1;
}

static bool read_whole(int fd, void *to, size_t size, struct mono until)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	for (size_t have = 0; have < size;) {
		int ready = poll(&wait, 1, (int)mono_ms_until(mono_now(), until));
		if (ready < 0 && errno == EINTR)
			continue;
		ssize_t got = ready > 0 ? read(fd, (char *)to + have, size - have) : 0;
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

enum reader_verdict reader_next(struct reader *reader, struct mono until,
	char name[READER_NAME_BYTES_MAX + 1], struct bytes *bytes)
{
	struct head head;
	if (!read_whole(reader->fd, &head, sizeof(head), until))
		return READER_STUCK;
	if (!head.name[0])
		return READER_END;
	uint8_t *to = bytes_reserve(bytes, head.size);
	if (!to || !read_whole(reader->fd, to, head.size, until))
		return READER_STUCK;
	bytes_grew(bytes, head.size);
	memcpy(name, head.name, sizeof(head.name));
	return READER_FILE;
}

void reader_let_go(pid_t pid)
{
	struct mono until = mono_after(mono_now(), LET_GO_MS);
	kill(pid, SIGKILL); /* our own child, not reaped yet */
	while (waitpid(pid, NULL, WNOHANG) == 0 && !mono_reached(mono_now(), until))
		poll(NULL, 0, LOOK_MS);
}

void reader_close(struct reader *reader)
{
	close(reader->fd);
	reader_let_go(reader->pid);
}
