/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Descriptors that close themselves when their name goes out of scope; success steals them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static inline void own_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define own_fd __attribute__((cleanup(own_fd_close))) int

static inline int steal_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* Closes *fd if it is open and marks it closed. errno is kept. */
void fd_drop(int *fd);

/* Sets O_NONBLOCK. 0, or -1 with errno. */
int fd_nonblocking(int fd);

/* Sets or clears close-on-exec. 0, or -1 with errno. */
int fd_cloexec(int fd, bool on);

/* Writes everything to a blocking descriptor, restarting after signals and short writes.
 * 0, or -1 with errno; how much was written is then unknown. */
int fd_write_all(int fd, const void *data, size_t size);

/* As fd_write_all, at an offset of a regular file. */
int fd_write_at(int fd, const void *data, size_t size, off_t offset);

/* Reads until size bytes or end of file. The bytes read, or -1 with errno. */
ssize_t fd_read_all(int fd, void *data, size_t size);

/* As fd_read_all, at an offset of a regular file; the descriptor's own offset stays. */
ssize_t fd_read_at(int fd, void *data, size_t size, off_t offset);

/* Reads a whole file of at most size bytes below folder (or AT_FDCWD) without following a link in
 * the last component. The bytes read, or -1 with errno (EFBIG: the file is larger). */
ssize_t fd_read_file(int folder, const char *path, void *data, size_t size);

/* Forces a file's content to the medium (F_FULLFSYNC on macOS). 0, or -1 with errno. */
int fd_sync(int fd);

/* Writes, syncs and renames so that a reader or a crash sees the old content or the new, never a
 * part: temp file, fsync, rename, fsync of the folder. Blocks on the disk: never called from the
 * supervisor's loop. 0, or -1 with errno. */
int fd_replace_file(int folder, const char *name, const void *data, size_t size, mode_t mode);
