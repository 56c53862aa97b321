/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the dashboard is owed: outcomes told to the worker through a window, oldest first, again to
 * each new worker, until the record says that the dashboard has them or never will.
 *
 * A worker that dies over an outcome must not keep the others from being told. All that were told
 * when it died are suspects, and suspects are told one at a time; one that was told to
 * POISON_DEATHS workers that died is told last, alone, with its output withheld.
 */
#include "supervisor/rules_parts.h"

bool runs_is_owed(const struct rules_run *run)
{
	switch (run->telling) {
	case TELLING_OWED:
	case TELLING_TOLD:
	case TELLING_MARKING: return true;
	case TELLING_NONE:
	case TELLING_DONE:
	case TELLING_FAILED: return false;
	}
	return false;
}

bool rules_is_poison(const struct rules_run *run)
{
	return runs_is_owed(run) && run->worker_deaths >= POISON_DEATHS;
}

uint32_t rules_count_owed(const struct rules *rules)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rules->run_count; i++)
		count += rules->runs[i].state == RUN_ENDED && runs_is_owed(&rules->runs[i]);
	return count;
}

uint32_t rules_count_poison(const struct rules *rules)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < rules->run_count; i++)
		count += rules->runs[i].state == RUN_ENDED && rules_is_poison(&rules->runs[i]);
	return count;
}

void runs_tell_ended(
	struct rules *rules, const struct rules_run *run, struct rules_actions *actions)
{
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_ENDED,
			.ended = {.run = text_of(run->name),
				.command = text_of(run->command),
				.outcome = run->outcome,
				.code = run->code,
				.reason = text_of(run->reason),
				.summary = text_of(run->summary),
				.sent = run->sent,
				.owed = run->telling != TELLING_NONE,
				.announced = run->is_announced,
				.withheld = rules_is_poison(run),
				.again = run->history_epoch == rules->worker.epoch}});
}

/* Poison comes last, then age decides. */
static bool is_before(const struct rules_run *a, const struct rules_run *b)
{
	if (rules_is_poison(a) != rules_is_poison(b))
		return rules_is_poison(b);
	return a->sequence < b->sequence;
}

static uint32_t next_owed(const struct rules *rules)
{
	uint32_t next = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_ENDED && run->telling == TELLING_OWED &&
			(next == RULES_NO_RUN || is_before(run, &rules->runs[next])))
			next = i;
	}
	return next;
}

/* How many outcomes are with the worker, and how many may be. It keeps one until it hears that it
 * is marked: a pong may prove a whole window at once. */
static uint32_t count_told(const struct rules *rules, uint32_t *window)
{
	uint32_t told = 0;
	*window = RUNS_OWED_TOLD_MAX;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		told += run->telling == TELLING_TOLD || run->telling == TELLING_MARKING;
		if (run->state == RUN_ENDED && runs_is_owed(run) && run->worker_deaths > 0)
			*window = 1;
	}
	return told;
}

void runs_tell_owed(struct rules *rules, struct rules_actions *actions)
{
	uint32_t window, index;
	uint32_t told = count_told(rules, &window);
	if (!worker_is_listening(rules))
		return;
	while (told < window && runs_has_room(actions) &&
		(index = next_owed(rules)) != RULES_NO_RUN) {
		rules->runs[index].telling = TELLING_TOLD;
		runs_tell_ended(rules, &rules->runs[index], actions);
		told++;
	}
}

void runs_worker_gone(struct rules *rules, bool is_blamed)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		struct rules_run *run = &rules->runs[i];
		if (run->telling != TELLING_TOLD)
			continue;
		run->telling = TELLING_OWED;
		if (is_blamed && run->worker_deaths < POISON_DEATHS)
			run->worker_deaths++;
	}
}

void runs_disown(struct rules *rules)
{
	for (uint32_t i = 0; i < rules->run_count; i++) {
		struct rules_run *run = &rules->runs[i];
		if (run->telling != TELLING_OWED && run->telling != TELLING_TOLD)
			continue;
		run->telling = TELLING_NONE;
		/* It is found again when the configuration is changed back. */
		if (run->state == RUN_ENDED && !run->is_storing && run->processes == 0 &&
			i != rules->leave.run)
			*run = (struct rules_run){.retry = MONO_NEVER};
	}
	rules->is_scan_stale = rules->is_scanning;
	if (!rules->is_scanning)
		rules->scan_retry = rules->now;
}

void runs_told(struct rules *rules, struct text name, struct text undeliverable,
	struct rules_actions *actions)
{
	uint32_t index = runs_find(rules, name);
	if (index == RULES_NO_RUN) /* it has no record to mark */
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_MARKED, .marked = {.run = name}});
	if (index == RULES_NO_RUN || rules->runs[index].telling != TELLING_TOLD)
		return; /* said twice, or about another's run: nothing is owed there */
	struct rules_run *run = &rules->runs[index];
	run->telling = TELLING_MARKING;
	text_copy(undeliverable, run->undeliverable, sizeof(run->undeliverable));
	if (!run->is_storing)
		runs_store(rules, index, ACT_MARK, actions);
}

void runs_marked(struct rules *rules, uint32_t index, struct rules_actions *actions)
{
	struct rules_run *run = &rules->runs[index];
	run->telling = run->undeliverable[0] ? TELLING_FAILED : TELLING_DONE;
	run->tries = 0;
	run->marked_scan = rules->scan;
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_MARKED, .marked = {.run = text_of(run->name)}});
	runs_tell_owed(rules, actions);
	leave_delivered(rules, index);
	/* The dashboard waits for a new connection, and perhaps there is a new binary for it. The
	 * worker that told it asks for the same, if it lives to hear of the mark. */
	if (rules->protocol == PROTOCOL_WEBSOCKET && run->telling == TELLING_DONE &&
		run->may_go_outside && run->outcome == OUTCOME_EXITED && run->code == 0)
		leave_asked(rules);
	if (rules->is_more_owed && rules_count_owed(rules) < RUNS_OWED_TOLD_MAX)
		rules->scan_retry = rules->now;
}
