/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A machine with a real systemd: a small system in a cache folder outside the checkout, booted by
 * systemd-nspawn over a file system in memory, in a cgroup and a network of its own. The world's
 * folder and the build are there under the same paths; the world's dashboard is reached from inside
 * by 127.0.0.1. Everything it started is ended in nspawn_close().
 */
#pragma once

#include "tests/system/world.h"

struct nspawn {
	struct world *world;
	pid_t container;                 /* systemd-nspawn */
	char group[256];                 /* its cgroup; empty: none */
	char binds[8][WORLD_TEXT_BYTES]; /* more options, set before nspawn_boot */
	uint32_t bind_count;
	char units[WORLD_TEXT_BYTES]; /* wanted at boot, as kernel command line words */
};

/* Opens the world, without an agent. Skips the test where a machine cannot be had, with the reason;
 * the first time the system is made, which takes minutes. */
void nspawn_open(struct nspawn *nspawn, struct world *world);
/* Puts a file of the world's folder into the machine. */
void nspawn_bind(struct nspawn *nspawn, const char *file, const char *path);
/* Boots it, waits until it runs, and starts the dashboard in its network. */
void nspawn_boot(struct nspawn *nspawn);
/* A shell command in the machine, as root; its exit status. What it printed is in *output, which
 * the caller frees; NULL: it goes to machine.log. */
int nspawn_shell(struct nspawn *nspawn, char **output, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Waits until a shell command succeeds; false after ms. */
bool nspawn_until(struct nspawn *nspawn, uint64_t ms, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Waits for a reboot that something inside asked for, and boots it again, with a new dashboard on
 * the old port. Only the world's folder is kept. Fails the test when it does not go down. */
void nspawn_await_reboot(struct nspawn *nspawn);
void nspawn_close(struct nspawn *nspawn);
