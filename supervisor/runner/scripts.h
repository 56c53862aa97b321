/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The test scripts of this host: hosts/HOST/tests in the repository. */
#pragma once

#include "proto/plan.h"

/* The names in order, each NUL-terminated, in one block that the caller frees; over HTTP T*.sh,
 * else every executable *.sh. 0, or -1 with a sentence in reason: the folder cannot be read, or
 * (not over HTTP, where that is a result) there is none. */
int scripts_list(const struct plan_command *plan, char **names, uint32_t *count, char *reason);
