/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define PIPE_BYTES (1024 * 1024)

const char *platform_host_type(void)
{
	return "nixos";
}

const char *platform_run_folder(void)
{
	return "/run/nixfleet-agent";
}

const char *platform_root_home(void)
{
	return "/root";
}

int platform_restart_code(void)
{
	return 101; /* RestartForceExitStatus= of the units that hosts have */
}

void platform_boot_id(char id[BOOT_ID_BYTES])
{
	ssize_t size = fd_read_file(
		AT_FDCWD, "/proc/sys/kernel/random/boot_id", id, BOOT_ID_BYTES - 1);
	if (size <= 0) {
		snprintf(id, BOOT_ID_BYTES, BOOT_ID_UNKNOWN);
		return;
	}
	id[size] = '\0';
	id[strcspn(id, "\n")] = '\0';
}

int platform_route_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
	own_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return steal_fd(&fd);
}

/* A message says that something came up: what only goes away opens no way. */
static bool is_arrival(const struct nlmsghdr *head)
{
	return head->nlmsg_type == RTM_NEWROUTE || head->nlmsg_type == RTM_NEWADDR ||
	       head->nlmsg_type == RTM_NEWLINK;
}

bool platform_route_read(int fd)
{
	_Alignas(struct nlmsghdr) char buffer[8192];
	bool arrival = false;
	/* Bounded: a flood of routes must not hold the loop; what is left wakes it again. */
	for (int i = 0; i < 16; i++) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (got < 0)
			return arrival || errno == ENOBUFS;
		unsigned left = (unsigned)got;
		for (struct nlmsghdr *head = (void *)buffer; NLMSG_OK(head, left);
			head = NLMSG_NEXT(head, left))
			arrival = arrival || is_arrival(head);
	}
	return arrival;
}

int platform_watch_open(struct platform_watch *watch, const char *folder)
{
	own_fd fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	*watch = (struct platform_watch){-1, -1};
	if (fd < 0 || inotify_add_watch(fd, folder,
			      IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0)
		return -1;
	watch->fd = steal_fd(&fd);
	return 0;
}

void platform_watch_close(struct platform_watch *watch)
{
	fd_drop(&watch->fd);
}

int platform_become_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int platform_peer(int fd, uid_t *user, gid_t *group, pid_t *pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -1;
	*user = peer.uid;
	*group = peer.gid;
	*pid = peer.pid;
	return 0;
}

int platform_memory_file(const char *name, off_t size)
{
	own_fd fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, size) < 0)
		return -1;
	return steal_fd(&fd);
}

bool platform_random(void *to, size_t size)
{
	return getrandom(to, size, GRND_NONBLOCK) == (ssize_t)size;
}

void platform_execute(int fd, char *const *argv, char *const *variables)
{
	fexecve(fd, argv, variables);
}

int platform_own_path(char *path, size_t size)
{
	ssize_t got = readlink("/proc/self/exe", path, size - 1);
	if (got < 0)
		return -1;
	path[got] = '\0';
	return 0;
}

uint64_t platform_start_ticks(pid_t pid)
{
	char path[48];
	char stat[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	ssize_t size = fd_read_file(AT_FDCWD, path, stat, sizeof(stat) - 1);
	if (size <= 0)
		return 0;
	stat[size] = '\0';
	/* The name may hold anything, so counting begins after its closing bracket: starttime is
	 * the 20th field from there, field 22 of proc(5). */
	const char *at = strrchr(stat, ')');
	for (int field = 0; at && field < 20; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

int platform_watch_process(pid_t pid, uint64_t start_ticks)
{
	if (pid <= 1) {
		errno = ESRCH;
		return -1;
	}
	own_fd fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
	if (fd < 0)
		return -1;
	/* Opened first, compared then: the number cannot have been given away in between. */
	if (start_ticks == 0 || platform_start_ticks(pid) != start_ticks) {
		errno = ESRCH;
		return -1;
	}
	return steal_fd(&fd);
}

bool platform_die_with_parent(pid_t parent)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent;
}

void platform_widen_pipe(int fd)
{
	(void)!fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* over the account's share: as it is */
}

void platform_close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
		return;
	for (int fd = first; fd < 1024; fd++) /* a kernel before 5.9 */
		close(fd);
}
