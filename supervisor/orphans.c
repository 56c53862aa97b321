/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/orphans.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"

#define LOOK_EVERY_MS 5

/* A pause without a descriptor; this runs in a child whose only work it is. */
static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

static int cgroup_open(const char *cgroup, const char *file, int flags)
{
	char path[PATH_BYTES_MAX + 32];
	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return open(path, flags | O_CLOEXEC);
}

static bool cgroup_is_populated(const char *cgroup)
{
	char text[128] = "";
	own_fd fd = cgroup_open(cgroup, "cgroup.events", O_RDONLY);
	if (fd < 0 || fd_read_all(fd, text, sizeof(text) - 1) <= 0)
		return false;
	return strstr(text, "populated 1") != NULL;
}

static uint32_t cgroup_count(const char *cgroup)
{
	char text[16384];
	uint32_t count = 0;
	own_fd fd = cgroup_open(cgroup, "cgroup.procs", O_RDONLY);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text, sizeof(text));
	for (ssize_t i = 0; i < size; i++)
		count += text[i] == '\n';
	return count;
}

static bool cgroup_end(const char *cgroup, struct orphans *orphans, struct mono until)
{
	own_fd fd = cgroup_open(cgroup, "cgroup.kill", O_WRONLY);
	if (fd < 0)
		return false;
	orphans->method = "cgroup";
	orphans->ended_count = cgroup_count(cgroup);
	if (fd_write_all(fd, "1", 1) < 0)
		return false;
	while (cgroup_is_populated(cgroup) && !mono_reached(mono_now(), until))
		pause_ms(LOOK_EVERY_MS);
	orphans->left_count = cgroup_is_populated(cgroup) ? cgroup_count(cgroup) : 0;
	rmdir(cgroup);
	return true;
}

/* The session of a process and whether it is more than a zombie, from the kernel's stat line. */
static bool stat_session(const char *pid, long *session, bool *is_alive)
{
	char path[32], text[512], state;
	long parent, group;
	snprintf(path, sizeof(path), "/proc/%.10s/stat", pid);
	ssize_t size = fd_read_file(AT_FDCWD, path, text, sizeof(text) - 1);
	if (size <= 0 && errno != EFBIG)
		return false;
	text[size > 0 ? (size_t)size : sizeof(text) - 1] = '\0';
	const char *at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %c %ld %ld %ld", &state, &parent, &group, session) != 4)
		return false;
	*is_alive = state != 'Z' && state != 'X';
	return true;
}

/* One pass over the session; how many lived, and how many of these a signal could reach. */
static uint32_t session_pass(long session, uint32_t *reached)
{
	uint32_t alive = 0;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		long found;
		bool is_alive;
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid <= 1 || pid == getpid() ||
			!stat_session(entry->d_name, &found, &is_alive) || found != session ||
			!is_alive)
			continue;
		alive++;
		*reached += kill((pid_t)pid, SIGKILL) == 0;
	}
	closedir(proc);
	return alive;
}

static void session_end(long session, struct orphans *orphans, struct mono until)
{
	uint32_t empty = 0, most = 0;
	orphans->method = "signals";
	/* A process may fork between our look and our signal: two empty passes end it. */
	while (empty < 2 && !mono_reached(mono_now(), until)) {
		uint32_t reached = 0;
		uint32_t alive = session_pass(session, &reached);
		most = reached > most ? reached : most;
		empty = alive == 0 ? empty + 1 : 0;
		orphans->left_count = alive;
		pause_ms(LOOK_EVERY_MS);
	}
	orphans->ended_count = most;
}

void orphans_end(const struct record *record, struct orphans *orphans)
{
	struct mono start = mono_now();
	struct mono until = mono_after(start, TREE_EMPTY_MS);
	*orphans = (struct orphans){.method = "none"};
	bool is_done = record->cgroup[0] && cgroup_end(record->cgroup, orphans, until);
	if (!is_done && record->pid > 1)
		session_end((long)record->pid, orphans, until);
	orphans->ended_ms = mono_ms_since(mono_now(), start);
	snprintf(orphans->reason, sizeof(orphans->reason),
		"its runner died, so how it ended is not known; %u of its processes were ended",
		(unsigned)orphans->ended_count);
	if (orphans->left_count > 0)
		snprintf(orphans->reason, sizeof(orphans->reason),
			"its runner died, so how it ended is not known; %u of its processes could "
			"not be "
			"ended",
			(unsigned)orphans->left_count);
}
