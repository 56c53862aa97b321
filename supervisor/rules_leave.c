/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Leaving: the end of an announced command (restart, reboot) and the worker's own wish to be
 * started anew. First what is owed is delivered, or its time is up; no command is started
 * meanwhile. Then the agent exits for its service manager, or the command's action (reboot) is
 * performed. An action that fails is a line of the log and of `nfctl status`, never a second
 * outcome.
 */
#include <stdio.h>

#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

#define NOT_HAPPENED "it was asked for and did not happen"

bool leave_is_under_way(const struct rules *rules)
{
	return rules->leave.state != LEAVE_NONE;
}

static void forget(struct rules *rules, const char *why)
{
	struct rules_leave *leave = &rules->leave;
	struct rules_run *run = &rules->runs[leave->run];
	snprintf(leave->trouble, sizeof(leave->trouble), "%.64s: %.300s", run->command, why);
	run->is_announced = false; /* not when the disk takes its result, either */
	leave->state = LEAVE_NONE;
	leave->run = RULES_NO_RUN;
	leave->due = MONO_NEVER;
}

static void leave_at(struct rules *rules, uint32_t run, struct mono due)
{
	rules->leave.state = LEAVE_DELIVERING;
	rules->leave.run = run;
	rules->leave.due = due;
}

void leave_announced(struct rules *rules, uint32_t index)
{
	const struct rules_run *run = &rules->runs[index];
	const struct rules_leave *leave = &rules->leave;
	bool is_under_way = leave->state == LEAVE_ACTING || leave->state == LEAVE_ACTED ||
			    leave->run == index;
	if (is_under_way || !run->is_announced || run->outcome != OUTCOME_EXITED || run->code != 0)
		return;
	leave_at(rules, index,
		run->telling == TELLING_NONE ? rules->now
					     : mono_after(rules->now, ANNOUNCE_DELIVER_MS));
}

/* The command that began last in this boot, of those that were found. */
static uint32_t last_begun(const struct rules *rules)
{
	uint32_t last = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		bool has_begun = run->state == RUN_GOING || run->state == RUN_SETTLING ||
				 (run->state == RUN_ENDED && run->started.ns != 0);
		if (has_begun &&
			(last == RULES_NO_RUN || run->sequence > rules->runs[last].sequence))
			last = i;
	}
	return last;
}

/* The outcome says that the machine is started anew, and the agent ended before it saw to it. What
 * was asked for long ago, or before other commands, would surprise: that is for people to know. */
void leave_found(struct rules *rules)
{
	uint32_t index = last_begun(rules);
	if (index == RULES_NO_RUN)
		return;
	const struct rules_run *run = &rules->runs[index];
	/* A clock that stands before it is another boot's, whatever the ids say: what is done again
	 * and again must not be a reboot. */
	bool is_ahead = run->started.ns > rules->now.ns;
	if (run->state != RUN_ENDED || is_ahead || !ops_action(text_of(run->command)))
		return;
	leave_announced(rules, index);
	/* Otherwise it failed, and what is under way is the worker's wish. */
	if (rules->leave.state == LEAVE_DELIVERING && rules->leave.run == index &&
		mono_reached(
			rules->now, mono_after(run->started, run->deadline_ms + LEAVE_ACTED_MS)))
		forget(rules, NOT_HAPPENED);
}

void leave_asked(struct rules *rules)
{
	if (leave_is_under_way(rules))
		return;
	leave_at(rules, RULES_NO_RUN,
		rules_count_owed(rules) == 0 ? rules->now
					     : mono_after(rules->now, LEAVE_DELIVER_MS));
}

void leave_delivered(struct rules *rules, uint32_t run)
{
	struct rules_leave *leave = &rules->leave;
	bool is_it = leave->run == run ||
		     (leave->run == RULES_NO_RUN && rules_count_owed(rules) == 0);
	if (leave->state == LEAVE_DELIVERING && is_it)
		leave->due = rules->now;
}

static void give_up(struct rules *rules, const char *why, struct rules_actions *actions)
{
	forget(rules, why);
	runs_go_on(rules, actions);
}

static void act(struct rules *rules, struct rules_actions *actions)
{
	struct rules_leave *leave = &rules->leave;
	leave->due = MONO_NEVER;
	if (leave->run == RULES_NO_RUN || !ops_action(text_of(rules->runs[leave->run].command))) {
		rules_stop(rules, rules->restart_code, actions);
		return;
	}
	leave->state = LEAVE_ACTING;
	leave->trouble[0] = '\0';
	rules_emit(actions, ACTION_ACT)->run = leave->run;
}

void leave_acted(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	char why[REASON_BYTES_MAX + 1];
	if (rules->leave.state != LEAVE_ACTING || event->acted.run != rules->leave.run)
		return;
	if (event->acted.outcome == OUTCOME_EXITED && event->acted.code == 0) {
		rules->leave.state = LEAVE_ACTED; /* SIGTERM is what comes next */
		rules->leave.due = mono_after(rules->now, LEAVE_ACTED_MS);
		return;
	}
	text_copy(event->acted.reason, why, sizeof(why));
	give_up(rules, why, actions);
}

void leave_due(struct rules *rules, struct rules_actions *actions)
{
	if (!mono_reached(rules->now, rules->leave.due))
		return;
	switch (rules->leave.state) {
	case LEAVE_NONE: break;
	case LEAVE_DELIVERING: act(rules, actions); break;
	case LEAVE_ACTING: break; /* a runner with a deadline of its own */
	case LEAVE_ACTED: give_up(rules, NOT_HAPPENED, actions); break;
	}
}
