/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a runner is told, as a value. */
#pragma once

#include <signal.h>

/* What the bytes t and k in its FIFO mean, for a runner that could make none. */
#define RUNNER_CANCEL_SIGNAL SIGUSR1
#define RUNNER_KILL_SIGNAL   SIGUSR2

/* A socket takes the whole plan before anybody reads it: what macOS gives to one, the least. */
#define PLAN_BYTES_MAX 8192

#define SCHEMA_DEF    "proto/plan.def"
#define SCHEMA_PREFIX plan
#include "proto/schema_declare.h"
