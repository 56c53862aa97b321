/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* launchd ends the process group of a job and no more, and a runner has its own. */
#include "supervisor/isolation.h"

enum isolation isolation_find(void)
{
	return ISOLATION_NO_SERVICE;
}

const char *isolation_text(enum isolation isolation)
{
	(void)isolation;
	return "a command outlives the agent; what leaves its session cannot be followed on macOS";
}

bool isolation_leave_service(enum isolation isolation, struct text run)
{
	(void)isolation;
	(void)run;
	return false;
}
