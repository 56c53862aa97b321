/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The proof that a tree was ended: how, how many, how long it took, and what is left. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/limits.h"

struct proof {
	const char *method; /* "none", "cgroup" or "signals" */
	uint32_t ended_count;
	uint64_t ended_ms;
	uint32_t left_count;
	char left[REASON_BYTES_MAX + 1]; /* what is left, as a sentence; empty: nothing */
};

/* "; 12 processes ended by cgroup in 10043 ms", or "" when there was nothing to end. */
void proof_text(const struct proof *proof, char *text, size_t room);
