/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One step as a process: started with an environment of its own, default signals, and no descriptor
 * but 0 (nothing to read), 1 and 2. */
#pragma once

#include <sys/types.h>

#include "supervisor/runner/cgroup.h"
#include "supervisor/runner/steps.h"

struct process {
	pid_t pid;
	int output; /* pipes, non-blocking; owned */
	int error;
};

/* 0, or -1 with a sentence in reason. A
 * program that cannot be executed is an exit with 127 after a line on its standard error. */
int process_start(struct process *process, const struct step *step, const struct plan_command *plan,
	const struct cgroup *cgroup, char *reason);
