/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A run's processes. While its runner lives they are the descendants of the runner, which is a
 * subreaper, so that whoever loses its parent becomes its child. When it is dead they are what is
 * left of its session and what the supervisor, a subreaper too, was handed. Nothing that is not
 * proven to be one of them is ever sent a signal.
 */
#pragma once

#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define TREE_LISTED_MAX 4096

struct tree_member {
	pid_t pid;
	uint64_t started; /* the kernel's ticks: tells it from a later one of the same number */
	uid_t user;
	char state; /* as the kernel names it: R, S, D, Z, … */
	char name[17];
};

struct tree {
	struct tree_member members[TREE_LISTED_MAX];
	uint32_t count;
};

/* Where to look for what a dead runner left. */
struct tree_search {
	pid_t runner;            /* its session and group; it is dead */
	uint64_t runner_started; /* 0: not known */
	pid_t keeper;            /* who is handed the orphans; 0: nobody that we know */
	const pid_t *known;      /* the keeper's own children; lent */
	uint32_t known_count;
	uint64_t since; /* younger children of the keeper with a name of ours are its own too */
};

/* Fills in the living processes of the run, by pid. False where the kernel does not tell. */
bool tree_list(struct tree *tree);
/* Whether processes of the run live that are no descendants of this one any more: waitpid says
 * nothing of them. */
bool tree_has_strays(void);
/* Fills in what the dead runner left, and all descendants of these; never this process. */
bool tree_list_left(struct tree *tree, const struct tree_search *search);
/* Sends a signal to each that is not in told (NULL: to all); how many it reached. Both lists are by
 * pid, as tree_list makes them. Never to a pid <= 1, to this process or to its parent. */
uint32_t tree_signal(const struct tree *tree, const struct tree *told, int number);
/* Sends a signal to this very process and to no later one of the same number. */
bool tree_send(const struct tree_member *member, int number);
/* "2 processes of root left (sleep, pid 12, state S)". hint is put at its end. text holds
 * REASON_BYTES_MAX + 1. */
void tree_describe(const struct tree *tree, const char *hint, char *text);
