/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What nfctl doctor looks at, each with the fix in words. Runs in a child of the agent, with its
 * account and environment; where there is no agent, in nfctl. Runs programs and waits for them,
 * DOCTOR_MS at most in all.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/time.h"
#include "proto/control.h"
#include "supervisor/config.h"

#define DOCTOR_MS 50000

struct doctor {
	const struct config *config;
	bool is_agents; /* it has the agent's own account, environment and cgroup */
	void (*say)(void *data, const struct control *control);
	void *data;
	bool is_lacking; /* a program was missed */
	struct mono until;
};

/* Says every finding, in the order of the table. */
void doctor_run(struct doctor *doctor);
/* One finding. */
void doctor_say(struct doctor *doctor, enum finding verdict, const char *what, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* ---- the checks, by what they look at ---- */
void doctor_token(struct doctor *doctor);
void doctor_space(struct doctor *doctor);
void doctor_lock(struct doctor *doctor);
void doctor_resolver(struct doctor *doctor);
void doctor_tls(struct doctor *doctor); /* and the clock, which the answer tells */
void doctor_repository(struct doctor *doctor);
void doctor_programs(struct doctor *doctor);
void doctor_sudo(struct doctor *doctor);
void doctor_service(struct doctor *doctor);
