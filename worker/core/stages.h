/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How far the command that runs is, in the dashboard's terms: the stages that its record names, and
 * the tests one by one.
 */
#pragma once

#include "worker/core/action.h"
#include "worker/core/event.h"

#define STAGES_TOLD_MAX 5

/* All zero: no stage was told. */
struct stages {
	enum stage_kind kind; /* of the last stage that was told */
	uint64_t current, total;
	uint64_t tests, tests_total,
		passed; /* tests that began, and of those before it the good ones */
	char marks[AGENT_MARKS_MAX + 1];
};

/* The record says something new. How many of list are to be told: a stage that was over before
 * anybody looked is told like the others. */
uint32_t stages_moved(struct stages *stages, const struct agent_event_progressed *progressed,
	bool is_test, struct agent_action list[STAGES_TOLD_MAX]);
/* The command ended: the same. */
uint32_t stages_ended(struct stages *stages, bool is_test, bool is_good, struct text summary,
	struct agent_action list[STAGES_TOLD_MAX]);
