/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/rates.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

void rates_init(struct rates *rates)
{
	rates->count = 0;
}

/* The window of that key, a fresh one, or the oldest one's place. */
static struct rate *rate_for(struct rates *rates, const char *key, struct mono now)
{
	struct rate *oldest = &rates->list[0];
	for (uint32_t i = 0; i < rates->count; i++) {
		struct rate *rate = &rates->list[i];
		if (strcmp(rate->key, key) == 0)
			return rate;
		if (rate->since.ns < oldest->since.ns)
			oldest = rate;
	}
	struct rate *rate = rates->count < RATES_MAX ? &rates->list[rates->count++] : oldest;
	*rate = (struct rate){.since = now};
	snprintf(rate->key, sizeof(rate->key), "%s", key);
	return rate;
}

bool rates_allow(
	struct rates *rates, const char *address, const char *path, uint32_t max, struct mono now)
{
	char key[RATES_KEY_BYTES];
	check(max > 0);
	snprintf(key, sizeof(key), "%s %s", address, path);
	struct rate *rate = rate_for(rates, key, now);
	if (mono_ms_since(now, rate->since) >= RATES_WINDOW_MS) {
		rate->since = now;
		rate->count = 0;
	}
	return ++rate->count <= max;
}
