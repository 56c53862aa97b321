/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Starts one of our own helpers: the only place of the supervisor that executes a program. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define SPAWN_FDS_MAX 5

struct spawn {
	const char *path;        /* of the program */
	const char *const *argv; /* ends with NULL */
	int fds[SPAWN_FDS_MAX];  /* what the child finds as 0, 1, 2, 3, 4; -1: /dev/null for 0 to 2,
				  * closed above */
	bool dies_with_us;       /* SIGKILL when the supervisor ends */
	/* Runs in the child before the descriptors are placed, where blocking hurts nobody else;
	 * what it leaves open must lie at SPAWN_FDS_MAX or above. -1 with errno: the child exits
	 * with 126. NULL: nothing to do. */
	int (*prepare)(const void *data);
	const void *data;
};

/* The child's pid, or -1 with errno of fork. A program that cannot be executed exits with 127 and
 * says why on its standard error. The child has default signals, an empty mask, no descriptor of
 * ours but fds, and an environment without what only the supervisor may know. */
pid_t spawn_helper(const struct spawn *spawn);
