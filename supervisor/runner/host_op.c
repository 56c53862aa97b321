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

/* root's or this account's, and nobody else may write to it: who can write to the folder can put
 * another file in the place of the one that was checked. */
static bool is_ours(const struct stat *info)
{
	return (info->st_uid == 0 || info->st_uid == geteuid()) &&
	       !(info->st_mode & (S_IWGRP | S_IWOTH));
}

int host_op_open(const struct plan_command *plan, char *reason)
{
	char path[PATH_BYTES_MAX + 64], name[40];
	struct stat info;
	snprintf(reason, REASON_BYTES_MAX + 1, "Unknown command: %.*s", TEXT_ARGS(plan->command));
	if (!is_name(plan->command))
		return -1;
	snprintf(path, sizeof(path), "%.*s", TEXT_ARGS(plan->ops_dir));
	own_fd folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || fstat(folder, &info) < 0) {
		if (errno != ENOENT)
			snprintf(reason, REASON_BYTES_MAX + 1, "%.300s: %s", path, strerror(errno));
		return -1;
	}
	if (!is_ours(&info)) {
		snprintf(reason, REASON_BYTES_MAX + 1,
			"%.300s must be a folder of root's that nobody else can write to", path);
		return -1;
	}
	text_copy(plan->command, name, sizeof(name));
	own_fd fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	snprintf(path, sizeof(path), "%.*s/%.40s", TEXT_ARGS(plan->ops_dir), name);
	if (fd < 0 || fstat(fd, &info) < 0) {
		if (errno != ENOENT)
			snprintf(reason, REASON_BYTES_MAX + 1, "%.300s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(info.st_mode) || !(info.st_mode & S_IXUSR) || !is_ours(&info)) {
		snprintf(reason, REASON_BYTES_MAX + 1,
			"%.300s must be an executable file of root's that nobody else can write to",
			path);
		return -1;
	}
	return steal_fd(&fd);
}
