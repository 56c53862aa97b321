/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "proto/base/limits.h"

void fd_drop(int *fd)
{
	int kept = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = kept;
}

int fd_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1 : 0;
}

int fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -1 : 0;
}

int fd_write_all(int fd, const void *data, size_t size)
{
	const char *at = data;
	while (size > 0) {
		ssize_t done = write(fd, at, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

int fd_write_at(int fd, const void *data, size_t size, off_t offset)
{
	const char *at = data;
	while (size > 0) {
		ssize_t done = pwrite(fd, at, size, offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		offset += done;
		size -= (size_t)done;
	}
	return 0;
}

ssize_t fd_read_all(int fd, void *data, size_t size)
{
	char *at = data;
	size_t have = 0;
	while (have < size) {
		ssize_t done = read(fd, at + have, size - have);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		if (done == 0)
			break;
		have += (size_t)done;
	}
	return (ssize_t)have;
}

ssize_t fd_read_at(int fd, void *data, size_t size, off_t offset)
{
	char *at = data;
	size_t have = 0;
	while (have < size) {
		ssize_t done = pread(fd, at + have, size - have, offset + (off_t)have);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		if (done == 0)
			break;
		have += (size_t)done;
	}
	return (ssize_t)have;
}

ssize_t fd_read_file(int folder, const char *path, void *data, size_t size)
{
	own_fd fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	ssize_t have = fd_read_all(fd, data, size);
	if (have < 0 || (size_t)have < size)
		return have;
	char more;
	ssize_t rest = fd_read_all(fd, &more, 1);
	if (rest > 0) {
		errno = EFBIG;
		return -1;
	}
	return rest < 0 ? -1 : have;
}

int fd_sync(int fd)
{
#ifdef F_FULLFSYNC
	if (fcntl(fd, F_FULLFSYNC) == 0)
		return 0;
#endif
	return fsync(fd);
}

int fd_replace_file(int folder, const char *name, const void *data, size_t size, mode_t mode)
{
	char temp[PATH_BYTES_MAX];
	int length = snprintf(temp, sizeof(temp), "%s.new", name);
	if (length < 0 || (size_t)length >= sizeof(temp)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (unlinkat(folder, temp, 0) < 0 && errno != ENOENT)
		return -1;
	own_fd fd = openat(
		folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -1;
	if (fd_write_all(fd, data, size) < 0 || fd_sync(fd) < 0 ||
		renameat(folder, temp, folder, name) < 0) {
		int kept = errno;
		unlinkat(folder, temp, 0);
		errno = kept;
		return -1;
	}
	return fd_sync(folder);
}
