/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define FILE_ROOM 65536

/* The rest of the line that begins with prefix, in place; NULL when there is none. */
static char *find_line(char *text, const char *prefix)
{
	for (char *line = text; line && *line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, prefix, strlen(prefix)) == 0) {
			line += strlen(prefix);
			line[strcspn(line, "\n")] = '\0';
			return line;
		}
	}
	return NULL;
}

/* Where the v2 hierarchy is mounted, whatever else is: "… - cgroup2 …" in mountinfo, whose fourth
 * and fifth fields are the root of the mount and the mount point. */
static bool find_mount(char *text, char mount[PATH_BYTES_MAX])
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char root[PATH_BYTES_MAX];
		const char *type = strstr(line, " - cgroup2 ");
		if (type && sscanf(line, "%*s %*s %*s %1023s %1023s", root, mount) == 2 &&
			strcmp(root, "/") == 0)
			return true;
	}
	return false;
}

static bool read_text(const char *path, char *text)
{
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text, FILE_ROOM - 1);
	text[size > 0 ? size : 0] = '\0';
	return size > 0;
}

bool cgroup_own(char own[PATH_BYTES_MAX + 1])
{
	char mount[PATH_BYTES_MAX];
	bool found = false;
	char *text = malloc(FILE_ROOM);
	if (text && read_text("/proc/self/mountinfo", text) && find_mount(text, mount) &&
		read_text("/proc/self/cgroup", text)) {
		const char *path = find_line(text, "0::");
		found = path && snprintf(own, PATH_BYTES_MAX + 1, "%s%s", mount,
					strcmp(path, "/") == 0 ? "" : path) <= PATH_BYTES_MAX;
	}
	free(text);
	return found;
}

bool cgroup_create(struct cgroup *cgroup, struct text name)
{
	char own[PATH_BYTES_MAX + 1];
	*cgroup = (struct cgroup){.folder = -1};
	if (!cgroup_own(own))
		return false;
	int size = snprintf(
		cgroup->path, sizeof(cgroup->path), "%s/nixfleet-%.*s", own, TEXT_ARGS(name));
	if (size >= (int)sizeof(cgroup->path) ||
		(mkdir(cgroup->path, 0755) < 0 && errno != EEXIST)) {
		cgroup->path[0] = '\0';
		return false;
	}
	cgroup->folder = open(cgroup->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Without cgroup.kill (before Linux 5.14) it ends nothing that signals do not. */
	if (cgroup->folder < 0 || faccessat(cgroup->folder, "cgroup.kill", W_OK, 0) < 0) {
		cgroup_destroy(cgroup);
		return false;
	}
	return true;
}

static bool holds(const struct cgroup *cgroup, pid_t pid)
{
	char text[FILE_ROOM], line[24];
	own_fd fd = openat(cgroup->folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	text[0] = '\n';
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text + 1, sizeof(text) - 2);
	text[size > 0 ? size + 1 : 1] = '\0';
	snprintf(line, sizeof(line), "\n%d\n", (int)pid);
	return size < 0 || strstr(text, line) != NULL;
}

bool cgroup_open(struct cgroup *cgroup, const char *path, struct text name)
{
	char expected[RUN_NAME_BYTES_MAX + 16];
	struct statfs info;
	const char *last = strrchr(path, '/');
	*cgroup = (struct cgroup){.folder = -1};
	snprintf(expected, sizeof(expected), "/nixfleet-%.*s", TEXT_ARGS(name));
	if (path[0] != '/' || !last || strcmp(last, expected) != 0 ||
		strlen(path) >= sizeof(cgroup->path))
		return false;
	own_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &info) < 0 || info.f_type != CGROUP2_SUPER_MAGIC)
		return false;
	cgroup->folder = steal_fd(&fd);
	if (holds(cgroup, getpid()) || holds(cgroup, getppid())) {
		fd_drop(&cgroup->folder);
		return false;
	}
	memcpy(cgroup->path, path, strlen(path) + 1);
	return true;
}

void cgroup_destroy(struct cgroup *cgroup)
{
	fd_drop(&cgroup->folder);
	if (cgroup->path[0])
		rmdir(cgroup->path);
	cgroup->path[0] = '\0';
}

/* This process has one thread, so the plain system call leaves nothing of libc's behind. */
static pid_t fork_into(int folder)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)folder};
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void move_self(const struct cgroup *cgroup)
{
	own_fd fd = openat(cgroup->folder, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1); /* without it the tree is followed by its parents */
}

pid_t cgroup_fork(const struct cgroup *cgroup)
{
	pid_t pid = -1;
	if (cgroup->folder >= 0 && !cgroup->was_killed)
		pid = fork_into(cgroup->folder);
	if (pid >= 0)
		return pid;
	pid = fork();
	if (pid == 0 && cgroup->folder >= 0)
		move_self(cgroup);
	return pid;
}

bool cgroup_kill(struct cgroup *cgroup)
{
	own_fd fd = cgroup->folder < 0
			    ? -1
			    : openat(cgroup->folder, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	cgroup->was_killed = cgroup->was_killed || fd >= 0;
	return fd >= 0 && fd_write_all(fd, "1", 1) == 0;
}

bool cgroup_is_empty(const struct cgroup *cgroup)
{
	char text[256];
	if (cgroup->folder < 0)
		return true;
	ssize_t size = fd_read_file(cgroup->folder, "cgroup.events", text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	return strstr(text, "populated 1") == NULL;
}

uint32_t cgroup_count(const struct cgroup *cgroup)
{
	char text[FILE_ROOM];
	uint32_t count = 0;
	own_fd fd = cgroup->folder < 0
			    ? -1
			    : openat(cgroup->folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text, sizeof(text));
	for (ssize_t i = 0; i < size; i++)
		count += text[i] == '\n';
	return count;
}
