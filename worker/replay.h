/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Feeds recordings back through the core, and prints them. */
#pragma once

#include <stdbool.h>

/* Says on standard output what it found, on standard error what is wrong. The exit code: 0 when
 * each action is the recorded one, 1 when one differs or the file is no recording. */
int replay_file(const char *path, bool print);
