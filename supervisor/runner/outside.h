/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The unit outside the tree in which an operation may go on (NixOS hands activations to one). */
#pragma once

#include "supervisor/runner/run.h"

/* False, with the reason and outcome filled in: the unit is active already, from another command or
 * by hand, and what this one would do has to wait for its end; or it may be, because systemd did
 * not answer for ACTIVATION_SILENT_MS. */
bool outside_is_free(struct run *run, const char *unit);
/* Waits while the unit is active, whatever the deadline says: an activation is reported, never
 * killed. How it ended decides the outcome. Waits also, for ACTIVATION_SILENT_MS in a row, while
 * systemd does not answer. Does nothing where there is no systemd. */
void outside_wait(struct run *run, const char *unit);
