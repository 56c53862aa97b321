/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/dice.h"

void dice_init(struct dice *dice, uint64_t seed)
{
	dice->state = seed;
}

uint64_t dice_throw(struct dice *dice, uint64_t most)
{
	/* splitmix64 */
	dice->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t value = dice->state;
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	value ^= value >> 31;
	return most == UINT64_MAX ? value : value % (most + 1);
}
