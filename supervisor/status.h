/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What nfctl status is told, from memory alone. */
#pragma once

#include "proto/control.h"
#include "supervisor/shell.h"

/* Fills the answer; texts point into shell. */
void status_fill(const struct shell *shell, struct mono now, struct control *out);
/* The sentence behind the health, and the health: 0 healthy, 1 degraded, 2 failed. */
uint64_t status_health(const struct shell *shell, const char **why);
