/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a new worker learns of the past. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "supervisor/ops.h"
#include "tests/unit/rules_world.h"

static struct world world;

static void found(uint32_t number, const char *command, enum outcome outcome, const char *summary)
{
	char name[32];
	struct record record = {.state = RECORD_FINISHED,
		.told = RECORD_IS_DELIVERED,
		.sequence = number,
		.origin = ORIGIN_DASHBOARD,
		.outcome = outcome,
		.ended_wall_ms = 1000 + number};
	struct rules_event event = world_event(&world, EVENT_FOUND);
	snprintf(name, sizeof(name), "run-%02u", number);
	snprintf(record.command, sizeof(record.command), "%s", command);
	snprintf(record.summary, sizeof(record.summary), "%s", summary);
	event.found.name = text_of(name);
	event.found.record = &record;
	world_step(&world, event);
}

static const struct message *told(uint32_t number)
{
	for (uint32_t i = 0; i < world.actions.count; i++) {
		const struct rules_action *action = &world.actions.list[i];
		if (action->type == ACTION_SEND && action->send.type == MESSAGE_HISTORY &&
			number-- == 0)
			return &action->send;
	}
	return NULL;
}

Test(history, a_new_worker_is_told_the_newest_end_of_each_command_oldest_first)
{
	world_start(&world, PROTOCOL_WEBSOCKET);
	found(3, "switch", OUTCOME_EXITED, "old");
	found(5, "test", OUTCOME_EXITED, "3/3 pass");
	found(7, "switch", OUTCOME_TIMED_OUT, "new");
	found(8, "test", OUTCOME_REFUSED, "");
	found(9, "switch", OUTCOME_CANCELLED, "it never began");
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_ready(&world);
	const struct message *first = told(0), *second = told(1);
	cr_assert(first && second);
	cr_expect(text_is(first->history.command, "test"));
	cr_expect(text_is(first->history.summary, "3/3 pass"));
	cr_expect(eq(i64, first->history.wall_ms, 1005));
	cr_expect(text_is(second->history.summary, "new"));
	cr_expect(eq(u64, second->history.outcome, OUTCOME_TIMED_OUT));
	cr_expect(told(2) == NULL);
}

Test(history, a_worker_that_was_quicker_than_the_disk_is_told_when_the_records_are_read)
{
	world_start(&world, PROTOCOL_WEBSOCKET);
	world_probed(&world, true);
	world_ready(&world);
	cr_assert(told(0) == NULL);
	found(3, "switch", OUTCOME_EXITED, "new");
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	cr_assert(told(0) != NULL);
	cr_expect(told(1) == NULL);
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0); /* another look is no news */
	cr_expect(told(0) == NULL);
}

Test(history, the_hosts_own_commands_push_no_other_out)
{
	char command[32];
	world_start(&world, PROTOCOL_WEBSOCKET);
	found(1, "switch", OUTCOME_EXITED, "");
	for (uint32_t i = 2; i <= RULES_HISTORY_MAX + 3; i++) {
		snprintf(command, sizeof(command), "own-%u", i);
		found(i, command, OUTCOME_EXITED, "");
	}
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_ready(&world);
	cr_expect(text_is(told(0)->history.command, "switch"));
	cr_expect(told(1) == NULL);
}

Test(history, every_other_command_has_its_place)
{
	uint32_t count;
	uint32_t number = 0;
	const struct op *ops = ops_all(&count);
	world_start(&world, PROTOCOL_WEBSOCKET);
	for (uint32_t i = 0; i < count; i++) {
		if (ops[i].class == OP_COMMAND || ops[i].class == OP_ANNOUNCED)
			found(++number, ops[i].name, OUTCOME_EXITED, "");
	}
	world_done(&world, ACT_SCAN, RULES_NO_RUN, 0);
	world_ready(&world);
	cr_expect(text_is(told(0)->history.command, ops[0].name), "the first is still there");
}

Test(history, only_what_a_command_did_says_something_of_the_host)
{
	static const struct {
		struct record record;
		bool is_history;
	} rows[] = {
		{{.state = RECORD_FINISHED, .outcome = OUTCOME_EXITED, .pid = 9, .command = "pull"},
			true},
		{{.state = RECORD_FINISHED,
			 .outcome = OUTCOME_CANCELLED,
			 .pid = 9,
			 .command = "pull"},
			true},
		{{.state = RECORD_FINISHED, .outcome = OUTCOME_CANCELLED, .command = "pull"},
			false},
		{{.state = RECORD_FINISHED,
			 .outcome = OUTCOME_REFUSED,
			 .pid = 9,
			 .command = "pull"},
			false},
		{{.state = RECORD_FINISHED, .outcome = OUTCOME_EXITED, .pid = 9, .command = "own"},
			false},
		{{.state = RECORD_RUNNING, .pid = 9, .command = "pull"}, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(int, rules_is_history(&rows[i].record), rows[i].is_history), "row %zu",
			i);
}
