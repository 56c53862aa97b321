/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The unit outside the tree in which an operation may go on (NixOS hands activations to one). */
#pragma once

#include "supervisor/runner/run.h"

/* Waits while the unit is active, whatever the deadline says: an activation is reported, never
 * killed. A unit that failed decides the outcome. Does nothing where there is no systemd. */
void outside_wait(struct run *run, const char *unit);
