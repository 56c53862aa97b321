/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How the newest run of each built-in command ended: told to each new worker, so that what it says
 * of the host is derived from what happened, also before it was started.
 */
#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

static struct rules_past *find_place(struct rules *rules, struct text command)
{
	struct rules_past *oldest = &rules->history[0];
	for (uint32_t i = 0; i < RULES_HISTORY_MAX; i++) {
		struct rules_past *past = &rules->history[i];
		if (past->sequence > 0 && text_is(command, past->command))
			return past;
		if (past->sequence < oldest->sequence)
			oldest = past;
	}
	return oldest;
}

/* What was refused, or cancelled before it began, says nothing about the host; nor does a command
 * of its own, of which there may be more than places. */
static bool says_something(const char *command, enum outcome outcome, bool has_begun)
{
	bool is_real = outcome != OUTCOME_REFUSED && outcome != OUTCOME_NONE &&
		       (outcome != OUTCOME_CANCELLED || has_begun);
	return is_real && ops_find(text_of(command), PROTOCOL_WEBSOCKET) != NULL;
}

bool rules_is_history(const struct record *record)
{
	return record->state == RECORD_FINISHED &&
	       says_something(record->command, record->outcome, record->pid != 0);
}

static void note(struct rules *rules, const struct rules_past *past)
{
	struct rules_past *place = find_place(rules, text_of(past->command));
	if (place->sequence < past->sequence)
		*place = *past;
}

void history_note_run(struct rules *rules, const struct rules_run *run)
{
	struct rules_past past = {.sequence = run->sequence,
		.wall_ms = wall_ms(rules->wall),
		.outcome = run->outcome,
		.code = run->code};
	text_copy(text_of(run->command), past.command, sizeof(past.command));
	text_copy(text_of(run->reason), past.reason, sizeof(past.reason));
	text_copy(text_of(run->summary), past.summary, sizeof(past.summary));
	if (says_something(run->command, run->outcome, run->started.ns != 0))
		note(rules, &past);
}

void history_note_record(struct rules *rules, const struct record *record)
{
	struct rules_past past = {.sequence = record->sequence,
		.wall_ms = record->ended_wall_ms,
		.outcome = record->outcome,
		.code = record->code};
	text_copy(text_of(record->command), past.command, sizeof(past.command));
	text_copy(text_of(record->reason), past.reason, sizeof(past.reason));
	text_copy(text_of(record->summary), past.summary, sizeof(past.summary));
	if (rules_is_history(record))
		note(rules, &past);
}

bool history_is_past(const struct rules *rules, const struct rules_run *run)
{
	for (uint32_t i = 0; i < RULES_HISTORY_MAX; i++) {
		if (rules->history[i].sequence > run->sequence)
			return true;
	}
	return false;
}

static void tell(struct rules *rules, const struct rules_past *past, struct rules_actions *actions)
{
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_HISTORY,
			.history = {.command = text_of(past->command),
				.outcome = past->outcome,
				.code = past->code,
				.reason = text_of(past->reason),
				.summary = text_of(past->summary),
				.wall_ms = past->wall_ms}});
}

void history_tell(struct rules *rules, struct rules_actions *actions)
{
	uint64_t last = 0;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].state == RUN_ENDED)
			rules->runs[i].history_epoch = rules->worker.epoch;
	}
	for (uint32_t told = 0; told < RULES_HISTORY_MAX; told++) {
		const struct rules_past *next = NULL;
		for (uint32_t i = 0; i < RULES_HISTORY_MAX; i++) {
			const struct rules_past *past = &rules->history[i];
			if (past->sequence > last && (!next || past->sequence < next->sequence))
				next = past;
		}
		if (!next)
			return;
		last = next->sequence;
		tell(rules, next, actions);
	}
}
