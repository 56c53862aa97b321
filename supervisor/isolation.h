/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether a command outlives a stop of the agent's service, and can be ended whole. Our units
 * delegate their cgroup and leave commands alone; older ones delegate nothing and kill all of it on
 * stop, so there a runner moves to a scope of its own, where the account may make one.
 */
#pragma once

#include "proto/base/bytes.h"

enum isolation {
	ISOLATION_NO_SERVICE, /* started by hand, or not by systemd */
	ISOLATION_DELEGATED,
	ISOLATION_SCOPE,      /* the system's manager makes one, */
	ISOLATION_USER_SCOPE, /* or the user's */
	ISOLATION_SHARED,     /* a stop ends the command */
};

/* Looks at this process's own cgroup and environment, and asks the user's manager where there is
 * one, TOOL_ASK_MS at most: before the loop, with nobody else to reap children. */
enum isolation isolation_find(void);
/* The sentence for people. */
const char *isolation_text(enum isolation isolation);
/* Moves this process, which has no children, to a scope of its own and waits for that, TOOL_ASK_MS
 * at most. False: it stays where it is. */
bool isolation_leave_service(enum isolation isolation, struct text run);
