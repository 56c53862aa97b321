/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Ends what a dead runner left behind: its cgroup where it had one, else its session. Called by a
 * store child; it may take TREE_EMPTY_MS.
 */
#pragma once

#include "proto/record.h"

struct orphans {
	uint32_t ended_count;
	uint32_t left_count;
	uint64_t ended_ms;
	const char *method;
	char reason[REASON_BYTES_MAX + 1];
};

void orphans_end(const struct record *record, struct orphans *orphans);
