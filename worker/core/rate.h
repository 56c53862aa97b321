/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A sliding window of one minute: when one more request of a kind may be sent. */
#pragma once

#include "proto/base/time.h"
#include "worker/core/policy.h"

struct rate {
	uint32_t most; /* in RATE_WINDOW_MS */
	uint32_t next; /* the oldest one, where the window is full */
	struct mono sent[RATE_EVENTS_MAX];
	bool is_full;
};

/* most: 1 to RATE_EVENTS_MAX. */
void rate_init(struct rate *rate, uint32_t most);
/* The earliest time for one more; 0 for at once. */
struct mono rate_due(const struct rate *rate);
void rate_sent(struct rate *rate, struct mono now);
