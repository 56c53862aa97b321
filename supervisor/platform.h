/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the supervisor asks of the kernel in ways that differ: platform_linux.c, platform_macos.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "nixos" or "macos", the only ones that dashboards accept. */
const char *platform_host_type(void);

/* Where root's lock file and control socket are. */
const char *platform_run_folder(void);

/* Root's home, whatever the name service says. */
const char *platform_root_home(void);

/* The exit code of a wanted restart, for which the service manager starts the agent again. */
int platform_restart_code(void);

#define BOOT_ID_BYTES   64
#define BOOT_ID_UNKNOWN "unknown"
/* The id that changes with each boot; BOOT_ID_UNKNOWN where the kernel does not say. */
void platform_boot_id(char id[BOOT_ID_BYTES]);

/* A descriptor that becomes readable when a route, link or address changes; -1 where there is none,
 * and the gate's own pace is all there is. */
int platform_route_open(void);
/* Empties it; true when something happened that could open a way out. */
bool platform_route_read(int fd);

/* Says when something in a folder is removed or renamed, or the folder itself is. */
struct platform_watch {
	int fd;     /* readable when something happened; -1: there is no watch */
	int folder; /* macOS: what is watched; Linux: -1 */
};

/* 0, or -1 with errno; it is closed then. */
int platform_watch_open(struct platform_watch *watch, const char *folder);
void platform_watch_close(struct platform_watch *watch);

/* Runners whose own runner dies are handed to this process. 0, or -1 with errno. */
int platform_become_subreaper(void);

/* Who is at the other end of a local socket. 0, or -1 with errno. */
int platform_peer(int fd, uid_t *user, gid_t *group, pid_t *pid);

/* A memory file of size bytes that a child may inherit, or -1 with errno. */
int platform_memory_file(const char *name, off_t size);

/* Random bytes without waiting for them; at most 256. False: the kernel has none yet. */
bool platform_random(void *to, size_t size);
/* Becomes the program that is open at fd, which stays open for an interpreter. Returns only with
 * errno. */
void platform_execute(int fd, char *const *argv, char *const *variables);
/* The path of the running program, for finding the helpers beside it. 0, or -1 with errno. */
int platform_own_path(char *path, size_t size);

/* The time a process started, in the kernel's ticks; 0 when there is no such process. Tells a pid
 * from a later one of the same number. */
uint64_t platform_start_ticks(pid_t pid);

/* A descriptor that becomes readable when the process ends, for one that is no child; -1 with
 * errno: ESRCH when no process of that number and start time is there. */
int platform_watch_process(pid_t pid, uint64_t start_ticks);

/* In a child that must not outlive its parent: asks the kernel for SIGKILL. parent is the pid that
 * is meant; false: it is gone already. */
bool platform_die_with_parent(pid_t parent);

/* Gives a pipe a large buffer where the kernel can: fewer wake-ups under a flood. */
void platform_widen_pipe(int fd);

/* Closes every descriptor from first on. */
void platform_close_from(int first);
