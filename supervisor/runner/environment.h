/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a step's environment is: the service's, without secrets, and with nothing that could prompt.
 */
#pragma once

#include "proto/plan.h"

/* Changes this process's own environment; for the child, before it executes a step. */
void environment_set(const struct plan_command *plan);
