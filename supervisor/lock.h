/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The single-instance guarantee: a lock on the state folder (one folder, one agent) and one on a
 * file by account and host name (one account, one agent per host, whatever its environment says).
 * Both are flock, so the kernel drops them with the process; no child may inherit them.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/limits.h"
#include "proto/base/time.h"

struct lock {
	int folder; /* the state folder; owned */
	int file;   /* owned */
	char path[PATH_BYTES_MAX + 1];
};

enum lock_verdict {
	LOCK_TAKEN,
	LOCK_HELD,   /* another instance: error says which */
	LOCK_FAILED, /* the system refused: error says what */
};

/* Takes both locks. folder is the open state folder and is owned by the lock from here on. On
 * failure error (CONFIG_ERROR_BYTES) holds one line, and nothing was left behind. */
enum lock_verdict lock_take(
	struct lock *lock, int folder, const char *host, const char *home, char *error);

struct lock_holder {
	char path[PATH_BYTES_MAX + 1];
	pid_t pid; /* 0: there is no file, or nobody's name is in it */
	char since[WALL_TEXT_BYTES];
	bool is_alive;
};

/* Who wrote its name into the lock file of this account and host. Takes no lock and makes nothing.
 */
void lock_find_holder(const char *host, const char *home, struct lock_holder *holder);

/* Removes the file if it is still ours and drops both locks. */
void lock_release(struct lock *lock);

/* In a forked child that does not exec: closes what would keep the locks alive. */
void lock_forget(struct lock *lock);
