/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A cgroup of the run's own, below the one this process is in: the one thing that ends a whole tree
 * at once, also what belongs to other users. Where the host has none to give, everything here says
 * no.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

struct cgroup {
	char path[PATH_BYTES_MAX + 1]; /* empty: none */
	int folder;                    /* -1: none; owned */
};

/* Makes it. False: there is none. */
bool cgroup_create(struct cgroup *cgroup, struct text name);
/* Removes it; it must be empty. */
void cgroup_destroy(struct cgroup *cgroup);
/* cgroup.procs for writing, or -1. The caller closes it. */
int cgroup_entry(const struct cgroup *cgroup);
/* SIGKILL to all members at once. False: it could not be asked for. */
bool cgroup_kill(const struct cgroup *cgroup);
bool cgroup_is_empty(const struct cgroup *cgroup);
uint32_t cgroup_count(const struct cgroup *cgroup);
