/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where the agent's own programs are. */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

/* The path of a helper: below libexec where that is set, else where it is beside the running
 * program (installed: ../libexec/nixfleet-agent; in a build folder: the folder it is built in),
 * else where it was to be installed. False when there is none that can be executed. */
bool helper_path(const char *libexec, const char *name, char path[PATH_BYTES_MAX + 1]);
