/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "worker/core/sight.h"

#define FRESH_MS 1000

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

static struct sight make(void)
{
	struct sight sight = {0};
	sight_init(&sight);
	return sight;
}

static bool probed(struct sight_value *value, uint64_t ms, uint64_t id, bool good, const char *text)
{
	return sight_probed(value, at(ms),
		&(struct agent_event_probed){.id = id, .good = good, .value = text_of(text)});
}

Test(sight, what_nobody_told_is_wanted_until_it_is_told)
{
	struct sight sight = make();
	cr_assert(sight_wants(&sight.commit, at(0), UINT64_MAX));
	cr_assert(sight_wants(&sight.system, at(0), UINT64_MAX));
	sight_told(&sight.commit, text_of("abc"), at(500));
	cr_assert(eq(str, sight.commit.value, "abc"));
	cr_assert(not(sight_wants(&sight.commit, at(499 + FRESH_MS), FRESH_MS)));
	cr_assert(sight_wants(&sight.commit, at(500 + FRESH_MS), FRESH_MS));
	cr_assert(not(sight_wants(&sight.commit, at(1000000000), UINT64_MAX)));
}

Test(sight, one_probe_is_out_at_a_time_until_it_is_lost)
{
	struct sight sight = make();
	sight_asked(&sight.commit, at(100), 7);
	cr_assert(not(sight_wants(&sight.commit, at(99 + PROBE_LOST_MS), 0)));
	cr_assert(sight_wants(&sight.commit, at(100 + PROBE_LOST_MS), 0));
	/* What was told meanwhile is as fresh as ever. */
	sight_told(&sight.commit, text_of("abc"), at(PROBE_LOST_MS));
	cr_assert(not(sight_wants(&sight.commit, at(100 + PROBE_LOST_MS), FRESH_MS)));
}

Test(sight, a_probe_tells_and_one_that_failed_leaves_what_was_known)
{
	struct sight sight = make();
	cr_assert(not(probed(&sight.commit, 0, 0, true, "none was out")));
	sight_asked(&sight.commit, at(0), 7);
	cr_assert(not(probed(&sight.commit, 10, 8, true, "another")));
	cr_assert(eq(str, sight.commit.value, ""));
	cr_assert(probed(&sight.commit, 10, 7, true, "abc"));
	cr_assert(eq(str, sight.commit.value, "abc"));
	cr_assert(not(probed(&sight.commit, 20, 7, true, "twice")));
	sight_asked(&sight.commit, at(20), 9);
	cr_assert(probed(&sight.commit, 30, 9, false, "an error"));
	cr_assert(eq(str, sight.commit.value, "abc"));
	cr_assert(not(sight_wants(&sight.commit, at(29 + FRESH_MS), FRESH_MS)));
	cr_assert(sight_wants(&sight.commit, at(30 + FRESH_MS), FRESH_MS));
}

Test(sight, after_a_command_all_is_wanted_again)
{
	struct sight sight = make();
	sight_told(&sight.commit, text_of("abc"), at(0));
	sight_told(&sight.system, text_of("24.11"), at(0));
	sight_changed(&sight);
	cr_assert(sight_wants(&sight.commit, at(1), UINT64_MAX));
	cr_assert(sight_wants(&sight.system, at(1), UINT64_MAX));
	cr_assert(eq(str, sight.commit.value, "abc"));
}

static bool clone_probed(struct sight *sight, uint64_t ms, uint64_t id, bool good)
{
	return sight_clone_probed(sight, at(ms),
		&(struct agent_event_probed){.id = id, .good = good, .value = TEXT_NONE});
}

Test(sight, the_clone_is_made_at_once_and_by_one_at_a_time)
{
	struct sight sight = make();
	cr_assert(not(clone_probed(&sight, 0, 0, true)));
	cr_assert(sight_wants_clone(&sight, at(0)));
	sight_clone_asked(&sight, 7);
	cr_assert(not(sight_wants_clone(&sight, at(1000000000))));
	cr_assert(not(clone_probed(&sight, 0, 8, true)));
	cr_assert(clone_probed(&sight, 0, 7, true));
	cr_assert(not(clone_probed(&sight, 0, 7, true)));
	/* One that is gone again so soon is made again later. */
	cr_assert(not(sight_wants_clone(&sight, at(CLONE_AGAIN_MS - 1))));
	cr_assert(sight_wants_clone(&sight, at(CLONE_AGAIN_MS)));
}

Test(sight, a_clone_that_fails_waits_longer_each_time_up_to_an_hour)
{
	static const uint64_t waits_ms[] = {
		60000, 120000, 240000, 480000, 960000, 1920000, 3600000, 3600000};
	struct sight sight = make();
	uint64_t ms = 0;
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		sight_clone_asked(&sight, i + 1);
		cr_assert(clone_probed(&sight, ms, i + 1, false));
		cr_assert(not(sight_wants_clone(&sight, at(ms + waits_ms[i] - 1))), "%zu", i);
		cr_assert(sight_wants_clone(&sight, at(ms + waits_ms[i])), "%zu", i);
		ms += waits_ms[i];
	}
	sight_clone_asked(&sight, 100);
	clone_probed(&sight, ms, 100, true);
	sight_clone_asked(&sight, 101);
	clone_probed(&sight, ms, 101, false);
	cr_assert(sight_wants_clone(&sight, at(ms + CLONE_AGAIN_MS)));
}
