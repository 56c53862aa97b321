/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The core's only source of chance: seeded, so that a replay throws the same numbers. */
#pragma once

#include <stdint.h>

struct dice {
	uint64_t state;
};

void dice_init(struct dice *dice, uint64_t seed);
/* A number from 0 to most, both possible. */
uint64_t dice_throw(struct dice *dice, uint64_t most);
