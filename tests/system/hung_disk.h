/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A file system whose server takes each request and answers none: who asks hangs, also when it is
 * killed.
 */
#pragma once

#include <sys/types.h>

/* From now on only this process and those that it starts see what it mounts. Skips the test where
 * that is not allowed. */
void hung_disk_begin(void);
/* Its server. */
pid_t hung_disk_mount(const char *path);
/* Who hangs goes on, with an error. */
void hung_disk_end(pid_t server, const char *path);
