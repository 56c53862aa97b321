/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who besides root and the agent's own user may change things: the members of a group. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OPERATORS_MAX 64

struct operators {
	bool has_group;
	gid_t group;
	uint32_t count;
	uid_t users[OPERATORS_MAX];
};

/* Looks the group up once, at start, in a child: a name service that hangs costs two seconds, and
 * its libraries are never loaded here. Without an answer there is no group. */
void operators_read(struct operators *operators, const char *group);
bool operators_include(const struct operators *operators, uid_t user, gid_t group);
