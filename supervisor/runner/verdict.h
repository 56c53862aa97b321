/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the output of a step says about the host: one line that begins with ok, outdated or error.
 * Reads nothing but the link that names the running system.
 */
#pragma once

#include "proto/plan.h"
#include "supervisor/ops.h"

#define LOCK_AGE_OK_DAYS 7

/* to holds SHORT_TEXT_BYTES_MAX + 1. */
void verdict_of(enum op_verdict verdict, struct text output, const struct plan_command *plan,
	int64_t wall_s, char *to);
