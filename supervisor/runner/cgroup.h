/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A cgroup of the run's own, below the one this process is in: the one thing that ends a whole tree
 * at once, also what belongs to other users. Where the host has none to give, everything here says
 * no.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

struct cgroup {
	char path[PATH_BYTES_MAX + 1]; /* empty: none */
	int folder;                    /* -1: none; owned */
	bool was_killed;
};

/* The path of the one that this process is in; false: there is no v2 hierarchy. */
bool cgroup_own(char path[PATH_BYTES_MAX + 1]);
/* Makes it. False: there is none. */
bool cgroup_create(struct cgroup *cgroup, struct text name);
/* Opens the one that a dead runner noted in its record, which is only a file: it must lie in a
 * cgroup hierarchy, bear this run's name and hold neither this process nor its parent. False: it
 * does not, or is gone. */
bool cgroup_open(struct cgroup *cgroup, const char *path, struct text name);
/* Removes it; it must be empty. */
void cgroup_destroy(struct cgroup *cgroup);
/* fork(2) with the child in the cgroup from its first moment. Where the kernel cannot do that the
 * child moves itself, which takes it some 20 ms. So it does after a cgroup_kill: a kernel that
 * counts kills takes a child that is cloned into the cgroup for one that the kill has missed. */
pid_t cgroup_fork(const struct cgroup *cgroup);
/* SIGKILL to all members at once. False: it could not be asked for. */
bool cgroup_kill(struct cgroup *cgroup);
bool cgroup_is_empty(const struct cgroup *cgroup);
uint32_t cgroup_count(const struct cgroup *cgroup);
