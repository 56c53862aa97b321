/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/tree.h"

#include <stdio.h>
#include <unistd.h>

uint32_t tree_signal(const struct tree *tree, const struct tree *told, int number)
{
	uint32_t reached = 0, at = 0;
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_member *member = &tree->members[i];
		while (told && at < told->count && told->members[at].pid < member->pid)
			at++;
		if (told && at < told->count && told->members[at].pid == member->pid &&
			told->members[at].started == member->started)
			continue;
		if (member->pid > 1 && member->pid != getpid() && member->pid != getppid())
			reached += tree_send(member, number);
	}
	return reached;
}

void tree_describe(const struct tree *tree, const char *hint, char *text)
{
	const struct tree_member *first = &tree->members[0];
	const char *user = "another user";
	/* Whose processes signals do not reach is what people have to know. */
	for (uint32_t i = tree->count; i-- > 0;) {
		if (tree->members[i].user != geteuid())
			first = &tree->members[i];
	}
	if (first->user == 0)
		user = "root";
	else if (first->user == geteuid())
		user = "the agent's own user";
	snprintf(text, REASON_BYTES_MAX + 1, "%u process%s of %s left (%s, pid %d, state %c)%s",
		(unsigned)tree->count, tree->count == 1 ? "" : "es", user, first->name,
		(int)first->pid, first->state, hint);
}
