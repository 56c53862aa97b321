/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/run_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "proto/base/fd.h"

bool run_file_path(
	const char *runs_dir, struct text run, const char *ending, char *to, uint32_t room)
{
	if (!record_name_is_legal(run))
		return false;
	int size = snprintf(to, room, "%s/%.*s%s", runs_dir, TEXT_ARGS(run), ending);
	return size > 0 && (uint32_t)size < room;
}

int run_file_open(const char *runs_dir, struct text run, const char *ending)
{
	char path[PATH_BYTES_MAX + RUN_NAME_BYTES_MAX + 16];
	if (!run_file_path(runs_dir, run, ending, path, sizeof(path))) {
		errno = EINVAL;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int run_file_record(const char *runs_dir, struct text run, struct record *record)
{
	own_fd fd = run_file_open(runs_dir, run, ".run");
	return fd < 0 ? -1 : record_read(fd, record);
}
