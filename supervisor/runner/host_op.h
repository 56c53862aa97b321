/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An operation of the host's own: one program in ops.d, checked and executed by its descriptor. */
#pragma once

#include "proto/plan.h"

/* The open program, or -1 with a sentence in reason (REASON_BYTES_MAX + 1). */
int host_op_open(const struct plan_command *plan, char *reason);
