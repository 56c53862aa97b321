/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <libproc.h>
#include <mach-o/dyld.h>
#include <sys/event.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"

bool platform_end_with_parent(void)
{
	/* This kernel has no such signal: the end of the channel has to do. */
	return getppid() != 1;
}

uint32_t platform_threads(void)
{
	struct proc_taskinfo info;
	int got = proc_pidinfo(getpid(), PROC_PIDTASKINFO, 0, &info, sizeof(info));
	return got == (int)sizeof(info) ? (uint32_t)info.pti_threadnum : 0;
}

int platform_program_path(char *path, size_t size)
{
	uint32_t room = (uint32_t)size;
	if (_NSGetExecutablePath(path, &room) == 0)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int64_t platform_modified_ns(const struct stat *stat)
{
	return (int64_t)stat->st_mtimespec.tv_sec * (int64_t)NS_PER_S + stat->st_mtimespec.tv_nsec;
}

int platform_watch_open(struct platform_watch *watch, const char *path)
{
	struct kevent change;
	own_fd queue = kqueue();
	own_fd file = open(path, O_EVTONLY | O_CLOEXEC);
	*watch = (struct platform_watch){-1, -1};
	if (queue < 0 || file < 0 || fd_cloexec(queue, true) < 0)
		return -1;
	EV_SET(&change, (uintptr_t)file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND,
		0, NULL);
	if (kevent(queue, &change, 1, NULL, 0, NULL) < 0)
		return -1;
	watch->fd = steal_fd(&queue);
	watch->file = steal_fd(&file);
	return 0;
}

void platform_watch_drain(struct platform_watch *watch)
{
	struct kevent events[4];
	const struct timespec at_once = {0, 0};
	kevent(watch->fd, NULL, 0, events, 4, &at_once);
}

void platform_watch_close(struct platform_watch *watch)
{
	fd_drop(&watch->fd);
	fd_drop(&watch->file);
}

/* A kqueue would need a descriptor for each. */
int platform_folders_open(void)
{
	errno = ENOSYS;
	return -1;
}

bool platform_folders_add(int fd, const char *path)
{
	(void)fd;
	(void)path;
	errno = ENOSYS;
	return false;
}

void platform_folders_drain(int fd)
{
	(void)fd;
}
