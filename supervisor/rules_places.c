/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The places of runs: who has which, and who gives up its own. */
#include "supervisor/rules_parts.h"

/* A step may look at every run; what it cannot say in one step stays due. */
#define ACTIONS_KEPT_FREE 8

bool runs_has_room(const struct rules_actions *actions)
{
	return actions->count + ACTIONS_KEPT_FREE < RULES_ACTIONS_MAX;
}

uint32_t rules_busy_run(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		switch (rules->runs[i].state) {
		case RUN_STARTING:
		case RUN_GOING:
		case RUN_SETTLING: return i;
		case RUN_FREE:
		case RUN_ACCEPTING:
		case RUN_QUEUED:
		case RUN_KEEPING:
		case RUN_ENDED: break;
		}
	}
	return RULES_NO_RUN;
}

uint32_t rules_leftover_run(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->processes > 0 && (run->state == RUN_ENDED || run->state == RUN_KEEPING))
			return i;
	}
	return RULES_NO_RUN;
}

bool runs_are_held_up(const struct rules *rules)
{
	return rules->is_stopping || rules->pause.is_on || !rules->is_scanned ||
	       leave_is_under_way(rules) || rules->is_cloning ||
	       rules_busy_run(rules) != RULES_NO_RUN || rules_leftover_run(rules) != RULES_NO_RUN;
}

static uint32_t count_state(const struct rules *rules, enum run_state state)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rules->run_count; i++)
		count += rules->runs[i].state == state;
	return count;
}

uint32_t rules_count_queued(const struct rules *rules)
{
	return count_state(rules, RUN_QUEUED);
}

bool runs_is_only_here(const struct rules_run *run)
{
	return run->state == RUN_ACCEPTING || run->state == RUN_KEEPING ||
	       (run->state == RUN_ENDED && run->telling == TELLING_MARKING);
}

bool runs_are_storing(const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].is_storing || runs_is_only_here(&rules->runs[i]))
			return true;
	}
	return rules->token.is_storing || rules->pause.is_storing || rules->is_saving_flight;
}

uint32_t runs_find(const struct rules *rules, struct text name)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].state != RUN_FREE && text_is(name, rules->runs[i].name))
			return i;
	}
	return RULES_NO_RUN;
}

bool runs_is_waiting(const struct rules_run *run)
{
	return run->state == RUN_QUEUED ||
	       (run->state == RUN_ACCEPTING && run->outcome == OUTCOME_NONE);
}

bool runs_has_begun(const struct rules_run *run)
{
	return run->state == RUN_GOING && run->pid > 1;
}

uint32_t runs_find_meant(const struct rules *rules, const struct rules_run *except)
{
	uint32_t oldest = rules_busy_run(rules);
	bool is_busy = oldest != RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count && !is_busy; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (runs_is_waiting(run) && run != except && !(except && run->is_held) &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	return oldest;
}

/* Who reads the records may have read this one without its mark, and may still say that it is owed:
 * until then it must be known. */
static bool may_be_found_unmarked(const struct rules *rules, const struct rules_run *run)
{
	return rules->is_scanning && run->marked_scan == rules->scan;
}

/* A free place, or that of the oldest run of which nothing is left to do. */
uint32_t runs_take_place(struct rules *rules)
{
	uint32_t oldest = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_FREE) {
			oldest = i;
			break;
		}
		if (run->state == RUN_ENDED && !runs_is_owed(run) && !run->is_storing &&
			run->processes == 0 && i != rules->leave.run &&
			!may_be_found_unmarked(rules, run) &&
			(oldest == RULES_NO_RUN || run->sequence < rules->runs[oldest].sequence))
			oldest = i;
	}
	bool is_free = oldest != RULES_NO_RUN && rules->runs[oldest].state == RUN_FREE;
	if (!is_free && rules->run_count < RUNS_KNOWN_MAX)
		oldest = rules->run_count++;
	if (oldest != RULES_NO_RUN)
		rules->runs[oldest] = (struct rules_run){.retry = MONO_NEVER};
	return oldest;
}
