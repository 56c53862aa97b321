/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/awaited.h"

#include <string.h>

static uint32_t find(const struct awaited *awaited, struct text run)
{
	uint32_t at = 0;
	while (at < awaited->count && !text_is(run, awaited->list[at]))
		at++;
	return at;
}

void awaited_add(struct awaited *awaited, struct text run)
{
	bool is_there = find(awaited, run) < awaited->count;
	if (run.size == 0 || is_there || awaited->count == AWAITED_MAX)
		return;
	text_copy(run, awaited->list[awaited->count++], sizeof(awaited->list[0]));
}

void awaited_drop(struct awaited *awaited, struct text run)
{
	uint32_t at = find(awaited, run);
	if (at == awaited->count)
		return;
	awaited->count--;
	memmove(awaited->list[at], awaited->list[at + 1],
		(awaited->count - at) * sizeof(awaited->list[0]));
}

bool awaited_is_first(const struct awaited *awaited, struct text run)
{
	return awaited->count > 0 && text_is(run, awaited->list[0]);
}
