/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* macOS has no cgroups. */
#include "supervisor/runner/cgroup.h"

#include <unistd.h>

bool cgroup_own(char path[PATH_BYTES_MAX + 1])
{
	*path = '\0';
	return false;
}

bool cgroup_create(struct cgroup *cgroup, struct text name)
{
	(void)name;
	*cgroup = (struct cgroup){.folder = -1};
	return false;
}

bool cgroup_open(struct cgroup *cgroup, const char *path, struct text name)
{
	(void)path;
	return cgroup_create(cgroup, name);
}

void cgroup_destroy(struct cgroup *cgroup)
{
	(void)cgroup;
}

pid_t cgroup_fork(const struct cgroup *cgroup)
{
	(void)cgroup;
	return fork();
}

bool cgroup_kill(struct cgroup *cgroup)
{
	(void)cgroup;
	return false;
}

bool cgroup_is_empty(const struct cgroup *cgroup)
{
	(void)cgroup;
	return true;
}

uint32_t cgroup_count(const struct cgroup *cgroup)
{
	(void)cgroup;
	return 0;
}
