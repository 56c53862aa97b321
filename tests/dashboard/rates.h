/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Requests a minute for each client address and path, in windows of a minute that begin with the
 * first request. Owns a table of RATES_MAX windows; when it is full the oldest one gives way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/time.h"

#define RATES_MAX       512
#define RATES_KEY_BYTES 160
#define RATES_WINDOW_MS 60000

struct rate {
	char key[RATES_KEY_BYTES];
	struct mono since;
	uint32_t count;
};

struct rates {
	struct rate list[RATES_MAX];
	uint32_t count;
};

void rates_init(struct rates *rates);
/* Counts a request; false when it is one more than max in this minute. */
bool rates_allow(
	struct rates *rates, const char *address, const char *path, uint32_t max, struct mono now);
