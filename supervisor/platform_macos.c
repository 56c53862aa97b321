/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <libproc.h>
#include <mach-o/dyld.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/param.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"

const char *platform_host_type(void)
{
	return "macos";
}

/* /run is only there where something has made a link of it, and nothing can be made in /. */
const char *platform_run_folder(void)
{
	return "/var/run/nixfleet-agent";
}

const char *platform_root_home(void)
{
	return "/var/root";
}

int platform_restart_code(void)
{
	return 0; /* launchd's KeepAlive asks for no code */
}

void platform_boot_id(char id[BOOT_ID_BYTES])
{
	size_t size = BOOT_ID_BYTES;
	if (sysctlbyname("kern.bootsessionuuid", id, &size, NULL, 0) < 0)
		snprintf(id, BOOT_ID_BYTES, BOOT_ID_UNKNOWN);
}

int platform_route_open(void)
{
	own_fd fd = socket(PF_ROUTE, SOCK_RAW, 0);
	if (fd < 0 || fd_cloexec(fd, true) < 0 || fd_nonblocking(fd) < 0)
		return -1;
	return steal_fd(&fd);
}

bool platform_route_read(int fd)
{
	char buffer[2048];
	bool arrival = false;
	for (int i = 0; i < 16; i++) {
		ssize_t got = read(fd, buffer, sizeof(buffer));
		if (got < (ssize_t)sizeof(struct rt_msghdr))
			return arrival;
		const struct rt_msghdr *head = (const void *)buffer;
		arrival = arrival || head->rtm_type == RTM_ADD || head->rtm_type == RTM_NEWADDR ||
			  head->rtm_type == RTM_IFINFO;
	}
	return arrival;
}

int platform_watch_open(struct platform_watch *watch, const char *folder)
{
	struct kevent change;
	own_fd queue = kqueue();
	own_fd file = open(folder, O_EVTONLY | O_DIRECTORY | O_CLOEXEC);
	*watch = (struct platform_watch){-1, -1};
	if (queue < 0 || file < 0 || fd_cloexec(queue, true) < 0)
		return -1;
	EV_SET(&change, (uintptr_t)file, EVFILT_VNODE, EV_ADD | EV_CLEAR,
		NOTE_WRITE | NOTE_DELETE | NOTE_RENAME, 0, NULL);
	if (kevent(queue, &change, 1, NULL, 0, NULL) < 0)
		return -1;
	watch->fd = steal_fd(&queue);
	watch->folder = steal_fd(&file);
	return 0;
}

void platform_watch_close(struct platform_watch *watch)
{
	fd_drop(&watch->fd);
	fd_drop(&watch->folder);
}

/* macOS has none: the outcome says that what left session and group cannot be followed. */
int platform_become_subreaper(void)
{
	errno = ENOSYS;
	return -1;
}

int platform_peer(int fd, uid_t *user, gid_t *group, pid_t *pid)
{
	socklen_t size = sizeof(*pid);
	if (getpeereid(fd, user, group) < 0)
		return -1;
	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, pid, &size) < 0)
		*pid = 0;
	return 0;
}

/* Shared memory of macOS can be mapped but neither read nor written like a file, which is how it is
 * used: so a file without a name, which stays in the cache. */
int platform_memory_file(const char *name, off_t size)
{
	char path[] = "/tmp/nixfleet-XXXXXX";
	(void)name;
	own_fd fd = mkstemp(path);
	if (fd < 0)
		return -1;
	unlink(path);
	if (ftruncate(fd, size) < 0 || fd_cloexec(fd, true) < 0)
		return -1;
	return steal_fd(&fd);
}

bool platform_random(void *to, size_t size)
{
	return getentropy(to, size) == 0;
}

/* There is no fexecve: the path that the kernel knows for the checked descriptor comes closest. */
void platform_execute(int fd, char *const *argv, char *const *variables)
{
	char path[MAXPATHLEN];
	if (fcntl(fd, F_GETPATH, path) == 0)
		execve(path, argv, variables);
}

int platform_own_path(char *path, size_t size)
{
	char raw[1024];
	uint32_t room = sizeof(raw);
	if (_NSGetExecutablePath(raw, &room) != 0 || size < 1024) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return realpath(raw, path) ? 0 : -1;
}

uint64_t platform_start_ticks(pid_t pid)
{
	struct proc_bsdinfo info;
	if (proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.pbi_start_tvsec * 1000000u + info.pbi_start_tvusec;
}

int platform_watch_process(pid_t pid, uint64_t start_ticks)
{
	struct kevent watch;
	if (pid <= 1) {
		errno = ESRCH;
		return -1;
	}
	/* A queue of its own is a descriptor that becomes readable when the process ends. */
	own_fd fd = kqueue();
	EV_SET(&watch, pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
	if (fd < 0 || kevent(fd, &watch, 1, NULL, 0, NULL) < 0 || fd_cloexec(fd, true) < 0)
		return -1;
	if (start_ticks == 0 || platform_start_ticks(pid) != start_ticks) {
		errno = ESRCH;
		return -1;
	}
	return steal_fd(&fd);
}

/* macOS cannot ask for it: the worker sees the end of file on descriptor 3. */
bool platform_die_with_parent(pid_t parent)
{
	return getppid() == parent;
}

/* A pipe of macOS grows by itself. */
void platform_widen_pipe(int fd)
{
	(void)fd;
}

void platform_close_from(int first)
{
	int most = getdtablesize();
	for (int fd = first; fd < most; fd++)
		close(fd);
}
