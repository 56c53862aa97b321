/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The folders the agent owns: made when missing, refused when others could write to them. */
#pragma once

#include <sys/types.h>

/* Makes the folder and what is missing above it, and opens it. Refused: another owner, writable by
 * group or others, not a folder. The descriptor, or -1 with errno and, in error
 * (CONFIG_ERROR_BYTES), one line for people. */
int folder_open(const char *path, mode_t mode, char *error);
