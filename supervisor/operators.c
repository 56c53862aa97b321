/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/operators.h"

#include <grp.h>
#include <pwd.h>

#include "proto/base/log.h"
#include "supervisor/lookup.h"

static void look_up(void *answer, const char *name)
{
	struct operators *operators = answer;
	const struct group *group = getgrnam(name);
	if (!group)
		return;
	operators->has_group = true;
	operators->group = group->gr_gid;
	for (char **member = group->gr_mem; *member; member++) {
		const struct passwd *account = getpwnam(*member);
		if (account && operators->count < OPERATORS_MAX)
			operators->users[operators->count++] = account->pw_uid;
	}
}

void operators_read(struct operators *operators, const char *group)
{
	*operators = (struct operators){0};
	if (!lookup_ask(look_up, group, operators, sizeof(*operators)))
		log_warn("group %s could not be looked up in %d s: only root and the agent's own "
			 "user may change things",
			group, LOOKUP_MS / 1000);
}

bool operators_include(const struct operators *operators, uid_t user, gid_t group)
{
	if (operators->has_group && group == operators->group)
		return true;
	for (uint32_t i = 0; i < operators->count; i++) {
		if (operators->users[i] == user)
			return true;
	}
	return false;
}
