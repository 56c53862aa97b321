/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/debt.h"

#include <string.h>

#include "proto/base/check.h"

struct debt *debt_find(struct debts *debts, struct text run)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		struct debt *debt = &debts->list[i];
		if (debt->state != DEBT_FREE && text_is(run, debt->run))
			return debt;
	}
	return NULL;
}

static struct debt *debt_take(struct debts *debts)
{
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		if (debts->list[i].state == DEBT_FREE)
			return &debts->list[i];
	}
	return NULL;
}

/* What was refused never ran, so no progress of it can be open. */
static bool is_run_test(const struct agent_event_ended *ended)
{
	return text_is(ended->command, "test") && ended->outcome != OUTCOME_REFUSED;
}

struct debt *debt_add(struct debts *debts, const struct agent_event_ended *ended)
{
	struct debt *debt = debt_take(debts);
	if (!debt)
		return NULL;
	memset(debt, 0, sizeof(*debt));
	debt->state = is_run_test(ended) ? DEBT_REGISTER : DEBT_TELL;
	debt->order = debts->order++;
	debt->outcome = ended->outcome;
	debt->code = ended->code;
	text_copy(ended->run, debt->run, sizeof(debt->run));
	text_copy(ended->command, debt->command, sizeof(debt->command));
	text_copy(ended->reason, debt->reason, sizeof(debt->reason));
	text_copy(ended->summary, debt->summary, sizeof(debt->summary));
	return debt;
}

void debt_remove(struct debt *debt)
{
	check(debt->state != DEBT_FREE);
	debt->state = DEBT_FREE;
}

/* A before B: what is due stands before what is not, then by age; among those not due, by time. */
static bool is_before(const struct debt *a, const struct debt *b, struct mono now)
{
	bool a_due = mono_reached(now, a->due);
	bool b_due = mono_reached(now, b->due);
	if (a_due != b_due)
		return a_due;
	if (!a_due && a->due.ns != b->due.ns)
		return a->due.ns < b->due.ns;
	return a->order < b->order;
}

uint32_t debt_next(const struct debts *debts, struct mono now, enum debt_state state, bool at_once)
{
	uint32_t best = DEBT_NONE;
	for (uint32_t i = 0; i < AGENT_RUNS_MAX; i++) {
		const struct debt *debt = &debts->list[i];
		if (debt->state != state || debt->at_once != at_once)
			continue;
		if (best == DEBT_NONE || is_before(debt, &debts->list[best], now))
			best = i;
	}
	return best;
}

void debt_registered(struct debts *debts)
{
	/* One test at a time: the next request after the registration must be this one's. */
	uint32_t next = debt_next(debts, (struct mono){0}, DEBT_REGISTER, false);
	if (next == DEBT_NONE || debt_next(debts, (struct mono){0}, DEBT_CLEAR, true) != DEBT_NONE)
		return;
	debts->list[next].state = DEBT_CLEAR;
	debts->list[next].at_once = true;
}

void debt_cleared(struct debt *debt)
{
	check(debt->state == DEBT_CLEAR);
	debt->state = DEBT_TELL;
	debt->faults = debt->silences = 0;
	debt->due = (struct mono){0};
}

void debt_told(struct debt *debt)
{
	check(debt->state == DEBT_TELL);
	debt->state = DEBT_TOLD;
}

static enum debt_verdict give_up(struct debt *debt, struct text reason)
{
	debt->state = DEBT_GIVEN_UP;
	text_copy(reason, debt->reason, sizeof(debt->reason));
	return DEBT_IS_OVER;
}

enum debt_verdict debt_fault(struct debt *debt, struct mono now, struct text reason)
{
	uint64_t wait_ms = REPORT_FAULT_WAIT_MS;
	debt->faults++;
	if (debt->state == DEBT_CLEAR) {
		if (debt->faults >= CLEAR_FAULT_TRIES)
			debt_cleared(debt);
		else
			debt->due = mono_after(now, REPORT_SILENCE_MS);
		return DEBT_GOES_ON;
	}
	check(debt->state == DEBT_TELL);
	if (debt->faults >= REPORT_FAULT_TRIES)
		return give_up(debt, reason);
	for (uint32_t i = 1; i < debt->faults; i++)
		wait_ms *= 3;
	debt->due = mono_after(now, wait_ms);
	debt->at_once = false;
	return DEBT_GOES_ON;
}

enum debt_verdict debt_rejected(struct debt *debt, struct text reason)
{
	if (debt->state == DEBT_CLEAR) {
		debt_cleared(debt);
		return DEBT_GOES_ON;
	}
	check(debt->state == DEBT_TELL);
	if (debt->minimal)
		return give_up(debt, reason);
	debt->minimal = true;
	return DEBT_GOES_ON;
}

void debt_silence(struct debt *debt, struct mono now, uint64_t wait_ms, struct dice *dice)
{
	uint64_t most_ms = REPORT_SILENCE_MS;
	for (uint32_t i = 0; i < debt->silences && most_ms < REPORT_SILENCE_MAX_MS; i++)
		most_ms *= 2;
	if (debt->silences < UINT32_MAX)
		debt->silences++;
	if (most_ms > REPORT_SILENCE_MAX_MS)
		most_ms = REPORT_SILENCE_MAX_MS;
	if (wait_ms == 0)
		wait_ms = dice_throw(dice, most_ms);
	debt->due = mono_after(now, wait_ms);
}
