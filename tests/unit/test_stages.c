/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/core/agent.h"

#define X(NAME, id, text) [NAME] = text,
static const char *const kinds[] = {STAGE_KINDS(X)};
static const char *const statuses[] = {STAGE_STATUSES(X)};
#undef X

/* `system 1/3 in_progress; …`, `tests 2/3 p in_progress; …`. */
static char *say(const struct agent_action *list, uint32_t count, char text[512])
{
	int size = 0;
	text[0] = '\0';
	for (uint32_t i = 0; i < count; i++) {
		const struct agent_action_stage *stage = &list[i].stage;
		const struct agent_action_tests *tests = &list[i].tests;
		const char *between = i > 0 ? "; " : "";
		if (list[i].type == ACTION_STAGE)
			size += snprintf(text + size, 512 - (size_t)size,
				"%s%s %" PRIu64 "/%" PRIu64 " %s", between, kinds[stage->kind],
				stage->current, stage->total, statuses[stage->status]);
		else
			size += snprintf(text + size, 512 - (size_t)size,
				"%stests %" PRIu64 "/%" PRIu64 " %" PRIu64 " passed [%.*s] %s",
				between, tests->current, tests->total, tests->passed,
				(int)tests->marks.size, tests->marks.data, statuses[tests->status]);
	}
	return text;
}

static char *move(struct stages *stages, const char *stage, char text[512])
{
	struct agent_action list[STAGES_TOLD_MAX];
	const struct agent_event_progressed progressed = {.stage = text_of(stage)};
	return say(list, stages_moved(stages, &progressed, false, list), text);
}

static char *count(
	struct stages *stages, uint64_t current, uint64_t total, uint64_t passed, char text[512])
{
	struct agent_action list[STAGES_TOLD_MAX];
	const struct agent_event_progressed progressed = {
		.current = current, .total = total, .passed = passed, .stage = TEXT_NONE};
	return say(list, stages_moved(stages, &progressed, true, list), text);
}

static char *end(
	struct stages *stages, bool is_test, bool is_good, const char *summary, char text[512])
{
	struct agent_action list[STAGES_TOLD_MAX];
	return say(list, stages_ended(stages, is_test, is_good, text_of(summary), list), text);
}

Test(stages, are_told_one_by_one_and_none_is_left_out)
{
	struct stages stages = {0};
	char text[512];
	cr_expect(eq(str, move(&stages, "fetch", text), "pull 1/4 in_progress"));
	cr_expect(eq(str, move(&stages, "fetch", text), ""));
	cr_expect(eq(str, move(&stages, "unheard of", text), ""));
	cr_expect(eq(str, move(&stages, "clean", text),
		"pull 2/4 in_progress; pull 3/4 in_progress; pull 4/4 in_progress"));
	cr_expect(eq(str, move(&stages, "compare", text), ""));
	cr_expect(eq(str, move(&stages, "evaluate", text), "system 1/3 in_progress"));
	cr_expect(eq(str, end(&stages, false, true, "", text),
		"system 2/3 in_progress; system 3/3 in_progress; system 3/3 complete"));
}

Test(stages, of_a_failure_end_where_they_are)
{
	struct stages stages = {0};
	char text[512];
	cr_expect(eq(str, end(&stages, false, false, "", text), ""));
	move(&stages, "build", text);
	cr_expect(eq(str, end(&stages, false, false, "", text), "system 2/3 error"));
}

Test(stages, tests_are_marked_as_they_end)
{
	static const struct {
		uint64_t current, total, passed;
		const char *told;
	} rows[] = {
		{0, 0, 0, ""}, /* not counted yet */
		{0, 4, 0, "tests 1/4 0 passed [] in_progress"},
		{0, 4, 0, ""},
		{1, 4, 1, "tests 2/4 1 passed [p] in_progress"},
		{2, 4, 1, "tests 3/4 1 passed [pf] in_progress"},
		{2, 4, 0, "tests 3/4 0 passed [pf] in_progress"},
		{4, 4, 2, "tests 4/4 2 passed [pfpf] in_progress"},
	};
	struct stages stages = {0};
	char text[512];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str,
				  count(&stages, rows[i].current, rows[i].total, rows[i].passed,
					  text),
				  (char *)rows[i].told),
			"row %zu", i);
}

/* Only the end says how the last one went. What it says in other words is passed on, no more. */
Test(stages, the_summary_marks_the_last_test)
{
	static const struct {
		const char *summary;
		bool is_good;
		const char *told;
	} rows[] = {
		{"3/3 pass", true, "tests 3/3 3 passed [ppp] complete"},
		{"2/3 pass, 1 fail", false, "tests 3/3 2 passed [ppf] error"},
		{"", false, "tests 3/3 2 passed [pp] error"},
		{"3", false, "tests 3/3 2 passed [pp] error"},
		{"3 of 3", false, "tests 3/3 2 passed [pp] error"},
		{"/3 pass", false, "tests 3/3 2 passed [pp] error"},
		{"4/3 pass", false, "tests 3/3 2 passed [pp] error"},
		{"3:/3 pass", false, "tests 3/3 2 passed [pp] error"},
		{"0000003/3 pass", false, "tests 3/3 2 passed [pp] error"},
		{"no tests", true, "tests 3/3 2 passed [pp] complete"},
	};
	char text[512];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stages stages = {0};
		count(&stages, 2, 3, 2, text);
		cr_expect(eq(str, end(&stages, true, rows[i].is_good, rows[i].summary, text),
				  (char *)rows[i].told),
			"row %zu", i);
	}
}

Test(stages, more_tests_than_can_be_marked_are_only_counted)
{
	struct stages stages = {0};
	char text[512];
	char told[512];
	char marks[AGENT_MARKS_MAX + 1];
	memset(marks, 'p', AGENT_MARKS_MAX);
	marks[AGENT_MARKS_MAX] = '\0';
	snprintf(told, sizeof(told), "tests 300/300 299 passed [%s] in_progress", marks);
	cr_assert(eq(str, count(&stages, 299, 300, 299, text), told));
}
