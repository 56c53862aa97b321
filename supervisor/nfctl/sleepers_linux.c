/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/sleepers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/fd.h"

#define PROCESSES_MAX 65536

struct process {
	pid_t pid, parent;
	char state;
	char name[17];
};

static void read_file(pid_t pid, const char *name, char *text, size_t room)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	ssize_t size = fd_read_file(AT_FDCWD, path, text, room - 1);
	text[size > 0 ? size : 0] = '\0';
}

/* A name may hold anything, spaces and brackets too: what follows its last bracket is fixed. */
static int read_process(pid_t pid, struct process *process)
{
	char text[1024];
	int parent;
	read_file(pid, "stat", text, sizeof(text));
	const char *start = strchr(text, '('), *end = strrchr(text, ')');
	if (!start || !end || sscanf(end, ") %c %d", &process->state, &parent) != 2)
		return -1;
	process->pid = pid;
	process->parent = parent;
	snprintf(process->name, sizeof(process->name), "%.*s", (int)(end - start - 1), start + 1);
	return 0;
}

static uint32_t read_all(struct process *all)
{
	uint32_t count = 0;
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	while (folder && count < PROCESSES_MAX && (entry = readdir(folder)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid > 1 && read_process(pid, &all[count]) == 0)
			count++;
	}
	if (folder)
		closedir(folder);
	return count;
}

static void add(struct sleeper *sleeper, const struct process *process)
{
	*sleeper = (struct sleeper){.pid = process->pid, .state = process->state};
	memcpy(sleeper->name, process->name, sizeof(sleeper->name));
	read_file(process->pid, "wchan", sleeper->function, sizeof(sleeper->function));
	if (strcmp(sleeper->function, "0") == 0)
		sleeper->function[0] = '\0';
}

uint32_t sleepers_find(pid_t runner, struct sleeper sleepers[SLEEPERS_MAX])
{
	struct process *all = malloc(sizeof(*all) * PROCESSES_MAX);
	uint32_t count = all ? read_all(all) : 0, found = 0;
	pid_t parents[SLEEPERS_MAX + 1] = {runner};
	/* A generation after the other: the list of parents is the list of what was found. */
	for (uint32_t at = 0; at <= found && runner > 1; at++) {
		for (uint32_t i = 0; i < count && found < SLEEPERS_MAX; i++) {
			if (all[i].parent != parents[at])
				continue;
			add(&sleepers[found++], &all[i]);
			parents[found] = all[i].pid;
		}
	}
	free(all);
	return found;
}
