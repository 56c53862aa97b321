/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What differs from kernel to kernel and belongs to no noun of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Has the kernel kill this process when its parent dies, and take from it what it never needs.
 * False when the parent is gone already. Where the kernel cannot, the channel's end does it. */
bool platform_end_with_parent(void);
/* How many threads this process has; 0 where that is not known. */
uint32_t platform_threads(void);
/* The path of this program. 0, or -1 with errno. */
int platform_program_path(char *path, size_t size);
int64_t platform_modified_ns(const struct stat *stat);

/* A file that another process writes to. {-1, -1} before the first platform_watch_open. */
struct platform_watch {
	int fd;   /* readable when the file changed; it may outlive platform_watch_close */
	int file; /* what stands for the file in the kernel, or -1 */
};

/* One file at a time. 0, or -1 with errno and nothing to close. */
int platform_watch_open(struct platform_watch *watch, const char *path);
/* Takes what it said. */
void platform_watch_drain(struct platform_watch *watch);
void platform_watch_close(struct platform_watch *watch);

/* What becomes readable when an entry of a folder changes, comes or goes: a descriptor, or -1 where
 * the kernel has no such thing, or has no more of it. */
int platform_folders_open(void);
/* One more, or one that is watched already. False with errno: it is not watched. */
bool platform_folders_add(int fd, const char *path);
/* Takes what it said. */
void platform_folders_drain(int fd);
