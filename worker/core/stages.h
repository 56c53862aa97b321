/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How far the command that runs is, in the dashboard's terms: the stages that its record names, and
 * the tests one by one.
 */
#pragma once

#include "worker/core/action.h"
#include "worker/core/event.h"

struct stages {
	enum stage_kind kind; /* of the last stage that was told */
	uint64_t current, total;
	uint64_t tests, tests_total,
		passed; /* tests that began, and of those before it the good ones */
	char marks[AGENT_MARKS_MAX + 1];
};

void stages_init(struct stages *stages);
/* The record says something new. True: *action is to be told. */
bool stages_moved(struct stages *stages, const struct agent_event_progressed *progressed,
	bool is_test, struct agent_action *action);
/* The command ended. True: *action is to be told. */
bool stages_ended(struct stages *stages, bool is_test, bool is_good, struct text summary,
	struct agent_action *action);
