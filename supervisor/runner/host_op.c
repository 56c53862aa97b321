/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/host_op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"

static bool is_name(struct text name)
{
	if (name.size == 0 || name.size > 32 || name.data[0] < 'a' || name.data[0] > 'z')
		return false;
	for (uint32_t i = 0; i < name.size; i++) {
		char byte = name.data[i];
		if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-'))
			return false;
	}
	return true;
}

int host_op_open(const struct plan_command *plan, char *reason)
{
	char path[PATH_BYTES_MAX + 64];
	struct stat info;
	snprintf(reason, REASON_BYTES_MAX + 1, "Unknown command: %.*s", TEXT_ARGS(plan->command));
	if (!is_name(plan->command))
		return -1;
	snprintf(path, sizeof(path), "%.*s/%.*s", TEXT_ARGS(plan->ops_dir),
		TEXT_ARGS(plan->command));
	own_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &info) < 0) {
		if (errno != ENOENT)
			snprintf(reason, REASON_BYTES_MAX + 1, "%.300s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(info.st_mode) || !(info.st_mode & S_IXUSR) ||
		(info.st_uid != 0 && info.st_uid != geteuid()) ||
		(info.st_mode & (S_IWGRP | S_IWOTH))) {
		snprintf(reason, REASON_BYTES_MAX + 1,
			"%.300s must be an executable file of root's that nobody else can write to",
			path);
		return -1;
	}
	return steal_fd(&fd);
}
