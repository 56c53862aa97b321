/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "worker/core/debt.h"
#include "worker/core/policy.h"

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

static struct debt *owe(struct debts *debts, const char *run, const char *command)
{
	return debt_add(debts, &(const struct agent_event_ended){.run = text_of(run),
				       .command = text_of(command),
				       .outcome = OUTCOME_EXITED,
				       .reason = TEXT_NONE,
				       .summary = TEXT_NONE,
				       .owed = true});
}

/* A test whose registration was accepted: the end of its progress is next. */
static struct debt *owe_clearing(struct debts *debts)
{
	struct debt *debt = owe(debts, "test-1", "test");
	debt_registered(debts);
	cr_assert(eq(int, (int)debt->state, DEBT_CLEAR));
	return debt;
}

/* Of the outcomes that may be told the oldest is; of those that must wait the one that may be
 * first. */
Test(debt, outcomes_are_told_by_age_and_one_that_must_wait_holds_none_up)
{
	static const struct {
		uint64_t due_ms[3]; /* of the oldest, the next, the newest */
		uint32_t next;
	} rows[] = {
		{{0, 0, 0}, 0},
		{{900, 0, 500}, 0},
		{{2000, 900, 0}, 1},
		{{3000, 2000, 0}, 2},
		{{4000, 2000, 3000}, 1},
		{{2000, 2000, 2000}, 0},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct debts debts = {0};
		owe(&debts, "r-0", "pull")->due = at(rows[row].due_ms[0]);
		owe(&debts, "r-1", "pull")->due = at(rows[row].due_ms[1]);
		owe(&debts, "r-2", "pull")->due = at(rows[row].due_ms[2]);
		cr_expect(eq(u32, debt_next(&debts, at(1000), DEBT_TELL, false), rows[row].next),
			"row %zu", row);
	}
}

Test(debt, a_test_whose_progress_the_dashboard_refuses_to_end_is_told_all_the_same)
{
	struct debts debts = {0};
	struct debt *debt = owe_clearing(&debts);
	cr_assert(eq(int, (int)debt_rejected(debt, text_of("404")), DEBT_GOES_ON));
	cr_assert(eq(int, (int)debt->state, DEBT_TELL));

	debts = (struct debts){0};
	debt = owe_clearing(&debts);
	for (int i = 0; i < CLEAR_FAULT_TRIES; i++) {
		cr_assert(eq(int, (int)debt->state, DEBT_CLEAR));
		cr_assert(eq(int, (int)debt_fault(debt, at(0), text_of("500")), DEBT_GOES_ON));
	}
	cr_assert(eq(int, (int)debt->state, DEBT_TELL));
	/* Its status has all of its own tries. */
	for (int i = 1; i < REPORT_FAULT_TRIES; i++)
		cr_assert(eq(int, (int)debt_fault(debt, at(0), text_of("500")), DEBT_GOES_ON));
	cr_assert(eq(int, (int)debt_fault(debt, at(0), text_of("500")), DEBT_IS_OVER));
}

Test(debt, a_test_whose_status_failed_has_lost_its_turn)
{
	struct debts debts = {0};
	struct debt *debt = owe_clearing(&debts);
	debt_cleared(debt);
	cr_assert(eq(u32, debt_next(&debts, at(0), DEBT_TELL, true), 0));
	debt_fault(debt, at(0), text_of("500"));
	cr_assert(eq(u32, debt_next(&debts, at(0), DEBT_TELL, true), DEBT_NONE));
	cr_assert(eq(u32, debt_next(&debts, at(0), DEBT_TELL, false), 0));
}

Test(debt, silence_is_answered_with_waits_that_double_up_to_five_minutes)
{
	static const uint64_t most_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000,
		256000, REPORT_SILENCE_MAX_MS, REPORT_SILENCE_MAX_MS};
	uint64_t seen_ms[sizeof(most_ms) / sizeof(most_ms[0])] = {0};
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct debts debts = {0};
		struct debt *debt = owe(&debts, "r-0", "pull");
		struct dice dice;
		dice_init(&dice, seed);
		for (size_t i = 0; i < sizeof(most_ms) / sizeof(most_ms[0]); i++) {
			debt_silence(debt, at(0), 0, &dice);
			uint64_t wait_ms = debt->due.ns / NS_PER_MS;
			cr_assert(le(u64, wait_ms, most_ms[i]));
			seen_ms[i] = wait_ms > seen_ms[i] ? wait_ms : seen_ms[i];
		}
	}
	for (size_t i = 0; i < sizeof(most_ms) / sizeof(most_ms[0]); i++)
		cr_expect(ge(u64, seen_ms[i], most_ms[i] * 9 / 10), "wait %zu", i);
}
