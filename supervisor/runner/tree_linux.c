/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define PROCESSES_MAX 65536

struct entry {
	pid_t pid, parent, group, session;
	uint64_t started;
	char state;
	bool is_ours;
	char name[17];
};

struct table {
	struct entry *entries;
	uint32_t count, room;
};

/* "pid (name) state ppid …": the name may hold anything, so its end is the last bracket. */
static bool parse_stat(char *text, struct entry *entry)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	int parent, group, session;
	unsigned long long started;
	if (!open || !close ||
		sscanf(close + 1,
			" %c %d %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			"%llu",
			&entry->state, &parent, &group, &session, &started) != 5)
		return false;
	*close = '\0';
	entry->pid = (pid_t)strtol(text, NULL, 10);
	entry->parent = parent;
	entry->group = group;
	entry->session = session;
	entry->started = started;
	snprintf(entry->name, sizeof(entry->name), "%.16s", open + 1);
	return true;
}

static bool read_entry(int proc, const char *pid, struct entry *entry)
{
	char path[32], text[1024];
	snprintf(path, sizeof(path), "%.12s/stat", pid);
	own_fd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text, sizeof(text) - 1);
	if (size <= 0)
		return false;
	text[size] = '\0';
	return parse_stat(text, entry);
}

static void add(struct table *table, int proc, const char *pid)
{
	struct entry entry = {0};
	if (!read_entry(proc, pid, &entry))
		return;
	if (table->count == table->room) {
		uint32_t room = table->room ? table->room * 2 : 256;
		struct entry *entries = room > PROCESSES_MAX
						? NULL
						: realloc(table->entries, room * sizeof(*entries));
		if (!entries)
			return;
		table->entries = entries;
		table->room = room;
	}
	table->entries[table->count++] = entry;
}

static int by_pid(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* Marks children of root (0: of none) and of marked ones until a pass marks no more; no chain is
 * longer than the table. An agent that a command started is kept. */
static void mark(struct table *table, pid_t root, pid_t keeper)
{
	bool again = true;
	for (uint32_t pass = 0; again && pass < table->count; pass++) {
		again = false;
		for (uint32_t i = 0; i < table->count; i++) {
			struct entry *entry = &table->entries[i];
			struct entry key = {.pid = entry->parent};
			if (entry->is_ours || entry->pid == getpid() || entry->pid == keeper)
				continue;
			const struct entry *parent = bsearch(
				&key, table->entries, table->count, sizeof(key), by_pid);
			if ((root > 0 && entry->parent == root) || (parent && parent->is_ours))
				again = entry->is_ours = true;
		}
	}
}

static uid_t owner(int proc, pid_t pid)
{
	char path[24];
	struct stat info;
	snprintf(path, sizeof(path), "%d", (int)pid);
	return fstatat(proc, path, &info, 0) == 0 ? info.st_uid : (uid_t)-1;
}

static void read_table(struct table *table, DIR *proc)
{
	const struct dirent *file;
	while ((file = readdir(proc))) {
		if (file->d_name[0] >= '1' && file->d_name[0] <= '9')
			add(table, dirfd(proc), file->d_name);
	}
	if (table->count > 0)
		qsort(table->entries, table->count, sizeof(table->entries[0]), by_pid);
}

/* The marked ones that live. Frees the table. */
static void take(struct tree *tree, struct table *table, DIR *proc)
{
	for (uint32_t i = 0; i < table->count && tree->count < TREE_LISTED_MAX; i++) {
		const struct entry *entry = &table->entries[i];
		if (!entry->is_ours || entry->state == 'Z' || entry->state == 'X')
			continue;
		struct tree_member *member = &tree->members[tree->count++];
		*member = (struct tree_member){.pid = entry->pid,
			.started = entry->started,
			.user = owner(dirfd(proc), entry->pid),
			.state = entry->state};
		memcpy(member->name, entry->name, sizeof(member->name));
	}
	free(table->entries);
	closedir(proc);
}

bool tree_list(struct tree *tree)
{
	struct table table = {0};
	DIR *proc = opendir("/proc");
	tree->count = 0;
	if (!proc)
		return false;
	read_table(&table, proc);
	mark(&table, getpid(), 0);
	take(tree, &table, proc);
	return true;
}

/* Whoever loses its parent becomes a child of the subreaper. */
bool tree_has_strays(void)
{
	return false;
}

static const struct entry *find_entry(const struct table *table, pid_t pid)
{
	struct entry key = {.pid = pid};
	return table->count == 0 ? NULL
				 : bsearch(&key, table->entries, table->count, sizeof(key), by_pid);
}

/* A session outlives its leader, and its number with it: a leader of that number who started at
 * another time has a session of his own, and none of ours is left. */
static bool is_session_ours(const struct table *table, const struct tree_search *search)
{
	const struct entry *leader = find_entry(table, search->runner);
	return search->runner > 1 && (!leader || search->runner_started == 0 ||
					     leader->started == search->runner_started);
}

static bool is_known(pid_t pid, const struct tree_search *search)
{
	for (uint32_t i = 0; i < search->known_count; i++) {
		if (search->known[i] == pid)
			return true;
	}
	return pid <= 1 || pid == getpid() || pid == search->keeper;
}

/* The keeper's children are the orphans it was handed, less those that it made itself. Who is in
 * its session never was a runner's, which leaves that first: a worker left it, say. */
static bool is_handed(
	const struct entry *entry, const struct entry *keeper, const struct tree_search *search)
{
	if (!keeper || keeper->pid <= 1 || entry->parent != keeper->pid ||
		entry->session == keeper->session)
		return false;
	return entry->started < search->since || strncmp(entry->name, "nixfleet-", 9) != 0;
}

bool tree_list_left(struct tree *tree, const struct tree_search *search)
{
	struct table table = {0};
	DIR *proc = opendir("/proc");
	tree->count = 0;
	if (!proc)
		return false;
	read_table(&table, proc);
	bool is_ours = is_session_ours(&table, search);
	const struct entry *keeper = find_entry(&table, search->keeper);
	for (uint32_t i = 0; i < table.count; i++) {
		struct entry *entry = &table.entries[i];
		bool is_in = is_ours &&
			     (entry->session == search->runner || entry->group == search->runner);
		entry->is_ours = !is_known(entry->pid, search) &&
				 entry->started >= search->runner_started &&
				 (is_in || is_handed(entry, keeper, search));
	}
	mark(&table, 0, search->keeper);
	take(tree, &table, proc);
	return true;
}

bool tree_send(const struct tree_member *member, int number)
{
	char name[16];
	struct entry entry = {0};
	/* The descriptor holds on to whoever has the number now; that it is the one that was meant
	 * is looked at after that. */
	own_fd fd = (int)syscall(SYS_pidfd_open, member->pid, 0);
	if (fd < 0 && errno == ESRCH)
		return false;
	own_fd proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%d", (int)member->pid);
	if (proc < 0 || !read_entry(proc, name, &entry) || entry.started != member->started)
		return false;
	if (fd >= 0)
		return syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) == 0;
	return kill(member->pid, number) == 0; /* before Linux 5.3, or no descriptor is left */
}
