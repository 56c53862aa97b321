/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A run as one line for people. */
#pragma once

#include "proto/control.h"

void runs_show(const struct control_run *run);
