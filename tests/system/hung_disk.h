/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A file system whose server takes each request and answers none: who asks hangs, also when it is
 * killed.
 */
#pragma once

#include <sys/types.h>

/* After world_own_mounts(). Its server. Skips the test where that is not allowed. */
pid_t hung_disk_mount(const char *path);
/* Who hangs goes on, with an error. */
void hung_disk_end(pid_t server, const char *path);
