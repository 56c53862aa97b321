/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/stages.h"

#include <string.h>

/* What each stage of a record is on the dashboard, whose totals are fixed: pull 4, lock 1,
 * system 3. */
static const struct {
	const char *name;
	enum stage_kind kind;
	uint32_t current, total;
} known[] = {
	{"fetch", STAGE_PULL, 1, 4},
	{"clone", STAGE_PULL, 1, 4},
	{"compare", STAGE_PULL, 2, 4},
	{"reset", STAGE_PULL, 3, 4},
	{"merge", STAGE_PULL, 3, 4},
	{"clean", STAGE_PULL, 4, 4},
	{"lock", STAGE_LOCK, 1, 1},
	{"evaluate", STAGE_SYSTEM, 1, 3},
	{"build", STAGE_SYSTEM, 2, 3},
	{"activate", STAGE_SYSTEM, 3, 3},
};

static void fill(const struct stages *stages, enum stage_status status, struct agent_action *action)
{
	*action = (struct agent_action){.type = ACTION_STAGE,
		.stage = {stages->kind, stages->current, stages->total, status}};
}

static void fill_tests(const struct stages *stages, enum stage_status status, struct text summary,
	struct agent_action *action)
{
	*action = (struct agent_action){.type = ACTION_TESTS,
		.tests = {.current = stages->tests,
			.total = stages->tests_total,
			.passed = stages->passed,
			.marks = text_of(stages->marks),
			.status = status,
			.summary = summary}};
}

/* passed tells how the tests before the one that runs ended. */
static void mark(struct stages *stages, uint64_t ended, uint64_t passed)
{
	uint64_t have = strlen(stages->marks);
	uint64_t good = 0;
	for (uint64_t i = 0; i < have; i++)
		good += stages->marks[i] == 'p';
	for (; have < ended && have < AGENT_MARKS_MAX; have++) {
		bool is_good = good < passed;
		stages->marks[have] = is_good ? 'p' : 'f';
		good += is_good;
	}
}

static bool tests_moved(struct stages *stages, const struct agent_event_progressed *progressed,
	struct agent_action *action)
{
	if (progressed->total == 0 ||
		(progressed->current + 1 == stages->tests && progressed->passed == stages->passed))
		return false;
	mark(stages, progressed->current, progressed->passed);
	stages->tests_total = progressed->total;
	stages->passed = progressed->passed;
	stages->tests = progressed->current < progressed->total ? progressed->current + 1
								: progressed->total;
	fill_tests(stages, STAGE_IN_PROGRESS, TEXT_NONE, action);
	return true;
}

/* All stages up to this one, from where it was. */
static uint32_t go_to(struct stages *stages, enum stage_kind kind, uint64_t current, uint64_t total,
	struct agent_action list[STAGES_TOLD_MAX])
{
	uint32_t count = 0;
	if (stages->kind != kind)
		*stages = (struct stages){.kind = kind};
	stages->total = total;
	while (stages->current < current && count < STAGES_TOLD_MAX - 1) {
		stages->current++;
		fill(stages, STAGE_IN_PROGRESS, &list[count++]);
	}
	return count;
}

uint32_t stages_moved(struct stages *stages, const struct agent_event_progressed *progressed,
	bool is_test, struct agent_action list[STAGES_TOLD_MAX])
{
	if (is_test)
		return tests_moved(stages, progressed, list);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (text_is(progressed->stage, known[i].name))
			return go_to(stages, known[i].kind, known[i].current, known[i].total, list);
	}
	return 0;
}

/* `7/8 pass, 1 fail`: only the end says how the last test went. */
static void count_passed(struct stages *stages, struct text summary)
{
	uint64_t passed = 0;
	uint32_t at = 0;
	for (; at < summary.size && at < 6 && summary.data[at] >= '0' && summary.data[at] <= '9';
		at++)
		passed = passed * 10 + (uint64_t)(summary.data[at] - '0');
	if (at == 0 || at == summary.size || summary.data[at] != '/' ||
		passed > stages->tests_total)
		return;
	mark(stages, stages->tests_total, passed);
	stages->passed = passed;
}

uint32_t stages_ended(struct stages *stages, bool is_test, bool is_good, struct text summary,
	struct agent_action list[STAGES_TOLD_MAX])
{
	enum stage_status status = is_good ? STAGE_COMPLETE : STAGE_ERROR;
	uint32_t count = 0;
	if (is_test) {
		count_passed(stages, summary);
		fill_tests(stages, status, summary, list);
		return 1;
	}
	if (stages->kind == STAGE_NONE)
		return 0;
	if (is_good)
		count = go_to(stages, stages->kind, stages->total, stages->total, list);
	fill(stages, status, &list[count]);
	return count + 1;
}
