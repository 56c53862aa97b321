/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One of the worker's probes, waited for: never in the supervisor's loop. */
#pragma once

#include <stddef.h>

/* Runs the helper at path, PROBE_KILL_MS at most. line is the first it printed. Its exit code, or
 * -1. */
int probe_run(const char *path, const char *const argv[], char *line, size_t room);
