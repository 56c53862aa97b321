/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The run's processes: all descendants of the runner, which is a subreaper, so that whoever loses
 * its parent becomes its child. Nothing that is not proven a descendant is ever sent a signal.
 */
#pragma once

#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define TREE_LISTED_MAX 4096

struct tree_member {
	pid_t pid;
	uid_t user;
	char state; /* as the kernel names it: R, S, D, Z, … */
	char name[17];
};

struct tree {
	struct tree_member members[TREE_LISTED_MAX];
	uint32_t count;
};

/* Fills in the living descendants of this process, by pid. False where the kernel does not tell. */
bool tree_list(struct tree *tree);
/* Sends a signal to each that is not in told (NULL: to all); how many it reached. Both lists are by
 * pid, as tree_list makes them. */
uint32_t tree_signal(const struct tree *tree, const struct tree *told, int number);
