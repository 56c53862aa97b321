/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "worker/core/login.h"

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

static struct login make(bool has_own, bool has_shared)
{
	struct login login = {0};
	login_init(&login, has_own, has_shared);
	return login;
}

static void expect(const struct login *login, enum login_state state, struct mono due)
{
	cr_assert(eq(int, (int)login->state, (int)state));
	cr_assert(eq(u64, login_due(login).ns, due.ns));
	cr_assert(eq(int, login_is_held(login), state == LOGIN_KEEPING));
}

Test(login, the_hosts_own_token_is_preferred)
{
	struct login own = make(true, true), shared = make(false, true);
	cr_assert(eq(int, (int)own.use, TOKEN_OWN));
	cr_assert(eq(int, (int)shared.use, TOKEN_SHARED));
	expect(&own, LOGIN_READY, MONO_NEVER);
	cr_assert(not(login_waited(&own, MONO_NEVER)));
}

Test(login, a_new_token_holds_requests_until_it_is_kept)
{
	struct login login = make(false, true);
	login_new(&login, at(100));
	cr_assert(eq(int, (int)login.use, TOKEN_OWN));
	expect(&login, LOGIN_KEEPING, at(100 + TOKEN_KEPT_WAIT_MS));
	login_kept(&login, at(200), true);
	expect(&login, LOGIN_READY, MONO_NEVER);
	login_kept(&login, at(300), false); /* an answer to nothing */
	expect(&login, LOGIN_READY, MONO_NEVER);
}

Test(login, one_that_is_not_kept_is_used_and_kept_again_until_that_is_done)
{
	struct login login = make(false, true);
	login_new(&login, at(0));
	login_kept(&login, at(100), false);
	expect(&login, LOGIN_UNKEPT, at(100 + TOKEN_KEEP_AGAIN_MS));
	cr_assert(not(login_waited(&login, at(99 + TOKEN_KEEP_AGAIN_MS))));
	cr_assert(login_waited(&login, at(100 + TOKEN_KEEP_AGAIN_MS)));
	expect(&login, LOGIN_KEEPING_AGAIN, at(100 + 2 * TOKEN_KEEP_AGAIN_MS));
	cr_assert(not(login_waited(&login, at(101 + TOKEN_KEEP_AGAIN_MS))));
	login_kept(&login, at(200000), true);
	expect(&login, LOGIN_READY, MONO_NEVER);
}

Test(login, a_disk_that_does_not_answer_is_like_one_that_refuses)
{
	struct login login = make(false, true);
	uint64_t ms = TOKEN_KEPT_WAIT_MS;
	login_new(&login, at(0));
	for (int i = 0; i < 3; i++) {
		cr_assert(not(login_waited(&login, at(ms))));
		expect(&login, LOGIN_UNKEPT, at(ms + TOKEN_KEEP_AGAIN_MS));
		ms += TOKEN_KEEP_AGAIN_MS;
		cr_assert(login_waited(&login, at(ms)));
		expect(&login, LOGIN_KEEPING_AGAIN, at(ms + TOKEN_KEEP_AGAIN_MS));
		ms += TOKEN_KEEP_AGAIN_MS;
	}
	/* All four answer at last: the newest is on disk only with the fourth. */
	for (int i = 0; i < 3; i++) {
		login_kept(&login, at(ms), true);
		expect(&login, LOGIN_KEEPING_AGAIN, at(ms));
	}
	login_kept(&login, at(ms), true);
	expect(&login, LOGIN_READY, MONO_NEVER);
}

Test(login, only_the_answer_to_the_newest_token_counts)
{
	struct login login = make(false, true);
	login_new(&login, at(0));
	login_new(&login, at(10));
	login_kept(&login, at(20), true);
	expect(&login, LOGIN_KEEPING, at(10 + TOKEN_KEPT_WAIT_MS));
	login_kept(&login, at(30), false);
	expect(&login, LOGIN_UNKEPT, at(30 + TOKEN_KEEP_AGAIN_MS));
}

Test(login, a_refused_token_gives_way_to_the_other)
{
	static const struct {
		bool has_own, has_shared;
		enum token refused[3];
		bool has_other[3];
		enum token use[3];
	} rows[] = {
		{true, true, {TOKEN_OWN, TOKEN_SHARED, TOKEN_OWN}, {true, false, false},
			{TOKEN_SHARED, TOKEN_SHARED, TOKEN_SHARED}},
		{true, true, {TOKEN_SHARED, TOKEN_OWN, TOKEN_SHARED}, {true, false, false},
			{TOKEN_OWN, TOKEN_OWN, TOKEN_OWN}},
		{true, false, {TOKEN_OWN, TOKEN_OWN, TOKEN_OWN}, {false, false, false},
			{TOKEN_OWN, TOKEN_OWN, TOKEN_OWN}},
		{false, true, {TOKEN_SHARED, TOKEN_SHARED, TOKEN_SHARED}, {false, false, false},
			{TOKEN_SHARED, TOKEN_SHARED, TOKEN_SHARED}},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct login login = make(rows[row].has_own, rows[row].has_shared);
		for (int i = 0; i < 3; i++) {
			bool has_other = login_was_refused(&login, rows[row].refused[i]);
			cr_expect(
				eq(int, has_other, rows[row].has_other[i]), "row %zu, %d", row, i);
			cr_expect(eq(int, (int)login.use, (int)rows[row].use[i]), "row %zu, %d",
				row, i);
		}
	}
}

Test(login, a_refusal_counts_until_a_token_works)
{
	struct login login = make(true, true);
	login_was_refused(&login, TOKEN_OWN);
	login_was_good(&login);
	cr_assert(eq(int, (int)login.use, TOKEN_SHARED));
	cr_assert(login_was_refused(&login, TOKEN_SHARED));
	cr_assert(eq(int, (int)login.use, TOKEN_OWN));
	login_was_good(&login);
	cr_assert(login_was_refused(&login, TOKEN_OWN));
	cr_assert(eq(int, (int)login.use, TOKEN_SHARED));
}

Test(login, a_new_token_is_not_the_one_that_was_refused)
{
	struct login login = make(true, true);
	login_was_refused(&login, TOKEN_OWN);
	login_new(&login, at(0));
	cr_assert(login_was_refused(&login, TOKEN_SHARED));
	cr_assert(eq(int, (int)login.use, TOKEN_OWN));
}

Test(login, after_all_were_refused_all_are_tried_again)
{
	struct login both = make(true, true), shared = make(false, true);
	login_was_refused(&both, TOKEN_OWN);
	login_was_refused(&both, TOKEN_SHARED);
	login_from_start(&both);
	cr_assert(eq(int, (int)both.use, TOKEN_OWN));
	cr_assert(login_was_refused(&both, TOKEN_OWN));
	login_was_refused(&shared, TOKEN_SHARED);
	login_from_start(&shared);
	cr_assert(eq(int, (int)shared.use, TOKEN_SHARED));
}
