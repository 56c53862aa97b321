/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/platform.h"

#include <dirent.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"

bool platform_end_with_parent(void)
{
	pid_t parent = getppid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return true;
	/* It may have died before the signal was asked for. */
	return getppid() == parent;
}

uint32_t platform_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	uint32_t count = 0;
	if (!folder)
		return 0;
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

int platform_program_path(char *path, size_t size)
{
	ssize_t got = readlink("/proc/self/exe", path, size - 1);
	if (got < 0)
		return -1;
	path[got] = '\0';
	return 0;
}

int64_t platform_modified_ns(const struct stat *stat)
{
	return (int64_t)stat->st_mtim.tv_sec * (int64_t)NS_PER_S + stat->st_mtim.tv_nsec;
}

int platform_watch_open(struct platform_watch *watch, const char *path)
{
	if (watch->fd < 0)
		watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	else
		platform_watch_drain(watch); /* what it says of the file before */
	if (watch->fd < 0)
		return -1;
	watch->file = inotify_add_watch(watch->fd, path, IN_MODIFY);
	return watch->file < 0 ? -1 : 0;
}

void platform_watch_drain(struct platform_watch *watch)
{
	char events[1024];
	ssize_t ignored = read(watch->fd, events, sizeof(events));
	(void)ignored;
}

int platform_folders_open(void)
{
	return inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

bool platform_folders_add(int fd, const char *path)
{
	return inotify_add_watch(fd, path,
		       IN_ONLYDIR | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF |
			       IN_MOVE_SELF) >= 0;
}

void platform_folders_drain(int fd)
{
	char events[4096];
	while (read(fd, events, sizeof(events)) > 0)
		;
}

void platform_watch_close(struct platform_watch *watch)
{
	/* Closing the instance takes the kernel ten milliseconds, in which nothing else is done. */
	if (watch->file >= 0)
		inotify_rm_watch(watch->fd, watch->file);
	watch->file = -1;
}
