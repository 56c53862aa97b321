/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where a run's processes sleep in the kernel, with the caller's own rights. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct sleeper {
	pid_t pid;
	char state; /* as the kernel names it: R, S, D, … */
	char name[17];
	char function[64]; /* of the kernel; empty: not known, or it runs */
};

#define SLEEPERS_MAX 64

/* The descendants of this runner, youngest generation last; how many, at most SLEEPERS_MAX. 0 where
 * the kernel does not tell. */
uint32_t sleepers_find(pid_t runner, struct sleeper sleepers[SLEEPERS_MAX]);
