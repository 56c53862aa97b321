/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The configuration's repository, whose disk may hang: a dead NFS server, say. Who looks at it
 * hangs then, perhaps beyond any signal. So a process of its own looks, one at a time, which is
 * forked once and opens nothing but the repository; this one asks, and never waits longer than it
 * says. Where the kernel tells of changes, it asks only after one, and every FACTS_THOROUGH_MS.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "worker/facts.h"

enum repository_state {
	REPOSITORY_IDLE,
	REPOSITORY_LOOKING,
	REPOSITORY_HANGING, /* no answer in time; it may come yet */
	REPOSITORY_LOST,    /* who looked is gone */
};

/* Of both processes. */
struct repository_shared {
	char dir[PATH_BYTES_MAX + 1]; /* told before the first look */
	bool wants_lock;
	struct facts_checkout seen;
	bool is_watched;        /* since before it was seen */
	_Atomic bool has_moved; /* something in what is watched, since then */
};

struct repository {
	enum repository_state state;
	pid_t looker;
	int channel;
	struct event *readable;
	bool is_ready;
	struct mono thorough_due; /* a command that ends brings it forward */
	bool is_stale;            /* the look under way began before the last one was asked for */
	struct mono due;          /* then the disk hangs */
	struct repository_shared *shared;
	struct facts_checkout known; /* of the last look that came to its end; zeros before */
};

/* Forks who looks: before this process has secrets, or a sandbox in which it cannot. 0, or -1 with
 * errno. */
int repository_fork(struct repository *repository);
/* Says where to look. 0, or -1 with errno. */
int repository_start(
	struct repository *repository, struct event_base *base, const char *dir, bool wants_lock);
/* A command ended: all of it may have changed. */
void repository_changed(struct repository *repository);
/* Begins a look, where there may be something new. It is settled when known tells what is seen now,
 * or the disk hangs: then nobody waits for it. */
void repository_ask(struct repository *repository, struct mono now);
bool repository_is_settled(const struct repository *repository);
/* True when the disk began or ceased to hang. */
bool repository_work(struct repository *repository, struct mono now);
struct mono repository_due(const struct repository *repository, bool is_wanted);
/* Who looks ends, and where it neither hangs nor was stopped, that is waited for. */
void repository_end(struct repository *repository);
