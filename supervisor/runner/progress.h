/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How far a step is, from what it prints. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *stage;
	uint32_t current, total;
};

/* What the beginning of a step of this stage is; false: nothing that has progress. */
bool progress_of_step(const char *step, struct progress *progress);
/* What a line of its output says; false: nothing. */
bool progress_of_line(const char *step, const char *line, struct progress *progress);
