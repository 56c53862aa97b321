/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define PROCESSES_MAX 65536

struct entry {
	pid_t pid, parent;
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
	int parent;
	if (!open || !close || sscanf(close + 1, " %c %d", &entry->state, &parent) != 2)
		return false;
	*close = '\0';
	entry->pid = (pid_t)strtol(text, NULL, 10);
	entry->parent = parent;
	snprintf(entry->name, sizeof(entry->name), "%.16s", open + 1);
	return true;
}

static void add(struct table *table, int proc, const char *pid)
{
	char path[32], text[512];
	struct entry entry = {0};
	snprintf(path, sizeof(path), "%.12s/stat", pid);
	own_fd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, text, sizeof(text) - 1);
	if (size <= 0)
		return;
	text[size] = '\0';
	if (!parse_stat(text, &entry))
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

/* Marks children of marked ones until a pass marks no more; no chain is longer than the table. */
static void mark(struct table *table, pid_t root)
{
	bool again = true;
	for (uint32_t pass = 0; again && pass < table->count; pass++) {
		again = false;
		for (uint32_t i = 0; i < table->count; i++) {
			struct entry *entry = &table->entries[i];
			struct entry key = {.pid = entry->parent};
			if (entry->is_ours || entry->pid == root)
				continue;
			const struct entry *parent = bsearch(
				&key, table->entries, table->count, sizeof(key), by_pid);
			if (entry->parent == root || (parent && parent->is_ours))
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

bool tree_list(struct tree *tree)
{
	struct table table = {0};
	const struct dirent *file;
	DIR *proc = opendir("/proc");
	tree->count = 0;
	if (!proc)
		return false;
	while ((file = readdir(proc))) {
		if (file->d_name[0] >= '1' && file->d_name[0] <= '9')
			add(&table, dirfd(proc), file->d_name);
	}
	if (table.count > 0)
		qsort(table.entries, table.count, sizeof(table.entries[0]), by_pid);
	mark(&table, getpid());
	for (uint32_t i = 0; i < table.count && tree->count < TREE_LISTED_MAX; i++) {
		const struct entry *entry = &table.entries[i];
		if (!entry->is_ours || entry->state == 'Z' || entry->state == 'X')
			continue;
		struct tree_member *member = &tree->members[tree->count++];
		*member = (struct tree_member){.pid = entry->pid,
			.user = owner(dirfd(proc), entry->pid),
			.state = entry->state};
		memcpy(member->name, entry->name, sizeof(member->name));
	}
	free(table.entries);
	closedir(proc);
	return true;
}
