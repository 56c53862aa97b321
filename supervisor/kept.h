/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The settings file of the state folder: one frame. Blocks on the disk. */
#pragma once

#include "supervisor/rules.h"

#define SCHEMA_DEF    "supervisor/kept.def"
#define SCHEMA_PREFIX kept
#include "proto/schema_declare.h"

#define KEPT_NAME "settings"

/* As much of the pause as is left; no pause where there is no file. One that is torn or another's
 * is renamed to KEPT_NAME.bad, and logged. pause->reason is written to reason. */
void kept_read(int folder, struct rules_kept_pause *pause, char reason[SHORT_TEXT_BYTES_MAX + 1]);
/* 0, or -1 with errno. */
int kept_write(int folder, const struct rules_pause *pause, uint64_t left_ms);
