/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The runs that were asked for and neither began nor ended, as far as was said, oldest first: a
 * stop means the first of them where none is going.
 */
#pragma once

#include <stdbool.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

/* Those that wait, one that starts, one that is being accepted. */
#define AWAITED_MAX (RUNS_QUEUED_MAX + 2)

struct awaited {
	uint32_t count;
	char list[AWAITED_MAX][RUN_NAME_BYTES_MAX + 1];
};

/* One that is there already stays where it is; one without a name, or beyond the maximum, is not
 * kept. */
void awaited_add(struct awaited *awaited, struct text run);
void awaited_drop(struct awaited *awaited, struct text run);
bool awaited_is_first(const struct awaited *awaited, struct text run);
