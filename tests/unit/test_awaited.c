/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "worker/core/awaited.h"

static void add(struct awaited *awaited, const char *run)
{
	awaited_add(awaited, text_of(run));
}

static bool is_first(const struct awaited *awaited, const char *run)
{
	return awaited_is_first(awaited, text_of(run));
}

Test(awaited, a_stop_means_the_oldest_that_is_left)
{
	struct awaited awaited = {0};
	cr_assert(not(is_first(&awaited, "a")));
	cr_assert(not(is_first(&awaited, "")));
	add(&awaited, "a");
	add(&awaited, "b");
	cr_assert(is_first(&awaited, "a"));
	cr_assert(not(is_first(&awaited, "b")));
	awaited_drop(&awaited, text_of("a"));
	cr_assert(is_first(&awaited, "b"));
	awaited_drop(&awaited, text_of("b"));
	cr_assert(eq(u32, awaited.count, 0));
}

/* Who is said twice is waited for once, or a stop would mean it for ever. */
Test(awaited, each_is_there_once_and_none_without_a_name)
{
	struct awaited awaited = {0};
	add(&awaited, "a");
	add(&awaited, "a");
	add(&awaited, "");
	cr_assert(eq(u32, awaited.count, 1));
	awaited_drop(&awaited, text_of("b"));
	cr_assert(eq(u32, awaited.count, 1));
	awaited_drop(&awaited, text_of("a"));
	cr_assert(eq(u32, awaited.count, 0));
}

Test(awaited, more_than_can_wait_are_not_kept)
{
	struct awaited awaited = {0};
	char run[16];
	for (int i = 0; i <= AWAITED_MAX; i++) {
		snprintf(run, sizeof(run), "r-%d", i);
		add(&awaited, run);
	}
	cr_assert(eq(u32, awaited.count, AWAITED_MAX));
	cr_assert(is_first(&awaited, "r-0"));
}
