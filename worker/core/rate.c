/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/rate.h"

#include "proto/base/check.h"

void rate_init(struct rate *rate, uint32_t most)
{
	check(most > 0);
	check(most <= RATE_EVENTS_MAX);
	rate->most = most;
	rate->next = 0;
	rate->is_full = false;
}

struct mono rate_due(const struct rate *rate)
{
	check(rate->next < rate->most);
	if (!rate->is_full)
		return (struct mono){0};
	return mono_after(rate->sent[rate->next], RATE_WINDOW_MS);
}

void rate_sent(struct rate *rate, struct mono now)
{
	check(rate->next < rate->most);
	rate->sent[rate->next] = now;
	rate->next++;
	if (rate->next == rate->most) {
		rate->next = 0;
		rate->is_full = true;
	}
}
