/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/config.h"

/* Makes each missing part; an existing one is left as it is. */
static int make_path(const char *path, mode_t mode)
{
	char part[PATH_BYTES_MAX + 1];
	size_t size = strlen(path);
	if (size >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (size_t i = 1; i <= size; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, i == size ? mode : 0755) < 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

int folder_open(const char *path, mode_t mode, char *error)
{
	struct stat info;
	if (make_path(path, mode) < 0) {
		snprintf(error, CONFIG_ERROR_BYTES, "mkdir %.200s: %s", path, strerror(errno));
		return -1;
	}
	own_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) < 0) {
		snprintf(error, CONFIG_ERROR_BYTES, "open %.200s: %s", path, strerror(errno));
		return -1;
	}
	if (info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH))) {
		snprintf(error, CONFIG_ERROR_BYTES,
			"%.200s belongs to user %u with mode %03o: it must belong to user %u and "
			"be "
			"writable by nobody else",
			path, (unsigned)info.st_uid, (unsigned)(info.st_mode & 0777),
			(unsigned)geteuid());
		errno = EPERM;
		return -1;
	}
	return steal_fd(&fd);
}
