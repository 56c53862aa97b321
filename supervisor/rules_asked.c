/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is asked for: accepted, refused with a sentence that people will read, or cancelled. */
#include <stdio.h>
#include <string.h>

#include "supervisor/ops.h"
#include "supervisor/rules_parts.h"

void runs_reply(
	const struct rules_run *run, bool is_good, struct text text, struct rules_actions *actions)
{
	if (run->client == RULES_NO_CLIENT)
		return;
	struct rules_action *action = rules_emit(actions, ACTION_REPLY);
	action->reply.client = run->client;
	action->reply.is_good = is_good;
	action->reply.text = text;
}

void runs_refuse(uint64_t client, const char *why, struct rules_actions *actions)
{
	struct rules_run nobody = {.client = client};
	runs_reply(&nobody, false, text_of(why), actions);
}

static bool is_known(const struct rules *rules, struct text command)
{
	enum protocol protocol = rules->protocol == PROTOCOL_NONE ? PROTOCOL_WEBSOCKET
								  : rules->protocol;
	const struct op *op = ops_find(command, protocol);
	if (op)
		return op->class == OP_COMMAND || op->class == OP_ANNOUNCED;
	for (uint32_t i = 0; i < rules->host_op_count; i++) {
		if (text_is(command, rules->host_ops[i]))
			return true;
	}
	return false;
}

/* Where every place is taken, the youngest outcome that no worker was told yet gives up its own: it
 * is on the disk, and read again when the others are told. A command that the dashboard gave away
 * is nowhere else. */
static uint32_t take_owed_place(struct rules *rules)
{
	uint32_t youngest = RULES_NO_RUN;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		if (run->state == RUN_ENDED && run->telling == TELLING_OWED && !run->is_storing &&
			run->processes == 0 && run->worker_deaths == 0 && i != rules->leave.run &&
			(youngest == RULES_NO_RUN ||
				run->sequence > rules->runs[youngest].sequence))
			youngest = i;
	}
	if (youngest == RULES_NO_RUN)
		return youngest;
	rules->is_more_owed = true;
	/* Who reads the records just now found that it has a place, and does not say it again. */
	rules->is_left_out = rules->is_left_out || rules->is_scanning;
	rules->runs[youngest] = (struct rules_run){.retry = MONO_NEVER};
	return youngest;
}

/* Why a command cannot be taken, as the sentence that people will read; false when it can. */
static bool find_refusal(
	const struct rules *rules, struct text command, char reason[REASON_BYTES_MAX + 1])
{
	uint32_t waiting = 0;
	bool is_double = false;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		const struct rules_run *run = &rules->runs[i];
		bool waits = runs_is_waiting(run);
		waiting += waits;
		is_double = is_double || (waits && text_is(command, run->command));
	}
	if (!is_known(rules, command))
		snprintf(reason, REASON_BYTES_MAX, "Unknown command: %.*s", TEXT_ARGS(command));
	else if (is_double && runs_are_held_up(rules))
		snprintf(reason, REASON_BYTES_MAX, "%.*s is already waiting in the queue",
			TEXT_ARGS(command));
	else if (waiting >= RUNS_QUEUED_MAX)
		snprintf(reason, REASON_BYTES_MAX, "the queue is full: %d commands wait",
			RUNS_QUEUED_MAX);
	else
		return false;
	return true;
}

/* Standalone and WebSocket hosts do one thing at a time and say so, also while the disk makes up
 * its mind about the first; over HTTP a command that the dashboard already gave away waits. A
 * person at nfctl is told at once either way. */
bool runs_find_busy_refusal(
	const struct rules *rules, const struct rules_run *asked, enum origin origin, char *reason)
{
	bool may_wait = rules->protocol == PROTOCOL_HTTP;
	uint32_t busy = may_wait ? rules_busy_run(rules) : runs_find_meant(rules, asked);
	if (busy == RULES_NO_RUN || rules->runs[busy].is_held ||
		(may_wait && origin == ORIGIN_DASHBOARD))
		return false;
	snprintf(reason, REASON_BYTES_MAX, "%.64s is running: cancel it first, or wait",
		rules->runs[busy].command);
	return true;
}

/* Every place is live, as behind a disk that hangs: there can be no record either. The dashboard
 * has forgotten the command, so it is told by the worker that brought it, or by nobody. */
static void refuse_unkept(struct rules *rules, struct text command, uint64_t request, int64_t code,
	struct rules_actions *actions)
{
	record_make_name(wall_ms(rules->wall), command, rules_random(rules, UINT64_C(1) << 16),
		rules->unkept);
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_ACCEPTED,
			.accepted = {.request = request, .run = TEXT_NONE, .command = command}});
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_ENDED,
			.ended = {.run = text_of(rules->unkept),
				.command = command,
				.outcome = OUTCOME_REFUSED,
				.code = code,
				.reason = text_of(rules->refusal),
				.summary = TEXT_NONE,
				.owed = true}});
}

void runs_asked(struct rules *rules, struct text command, enum origin origin, uint64_t request,
	uint64_t client, struct rules_actions *actions)
{
	char *reason = rules->refusal; /* the actions of this step may point to it */
	*reason = '\0';
	bool is_impossible = find_refusal(rules, command, reason);
	bool is_refused = is_impossible || runs_find_busy_refusal(rules, NULL, origin, reason);
	if (is_refused && origin == ORIGIN_LOCAL) {
		runs_refuse(client, reason, actions);
		return;
	}
	if (!is_refused && rules->pause.is_on && rules->protocol == PROTOCOL_WEBSOCKET &&
		origin == ORIGIN_DASHBOARD) {
		is_impossible = is_refused = true;
		memcpy(reason, rules->pause.sentence, sizeof(rules->pause.sentence));
	}
	int64_t code = is_refused && !is_impossible ? REFUSAL_BUSY : 0;
	uint32_t index = runs_take_place(rules);
	if (index == RULES_NO_RUN && origin == ORIGIN_DASHBOARD)
		index = take_owed_place(rules);
	if (index == RULES_NO_RUN) {
		if (!is_refused)
			snprintf(reason, REASON_BYTES_MAX, "%s",
				"too many commands wait for the host's disk");
		if (origin == ORIGIN_DASHBOARD)
			refuse_unkept(rules, command, request, code, actions);
		else
			runs_refuse(client, reason, actions);
		return;
	}
	struct rules_run *run = &rules->runs[index];
	run->state = RUN_ACCEPTING;
	run->telling = origin == ORIGIN_DASHBOARD ? TELLING_OWED : TELLING_NONE;
	run->origin = origin;
	run->request = request;
	run->worker_epoch = rules->worker.epoch;
	run->client = client;
	run->sequence = ++rules->sequence;
	run->wall_ms = wall_ms(rules->wall);
	run->outcome = is_refused ? OUTCOME_REFUSED : OUTCOME_NONE;
	run->code = code;
	text_copy(command, run->command, sizeof(run->command));
	text_copy(text_of(reason), run->reason, sizeof(run->reason));
	const struct op *op = ops_find(command, PROTOCOL_WEBSOCKET);
	run->is_announced = op && op->class == OP_ANNOUNCED;
	run->may_go_outside = op && op->outside_unit;
	record_make_name(run->wall_ms, command, rules_random(rules, UINT64_C(1) << 16), run->name);
	/* Its number must be higher than those on the disk, which are not known yet. */
	run->is_held = !rules->is_scanned;
	if (!run->is_held)
		runs_store(rules, index, ACT_ACCEPT, actions);
}

void runs_cancel(struct rules *rules, struct text name, bool is_kill, uint64_t client,
	struct rules_actions *actions)
{
	struct rules_run nobody = {.client = client};
	uint32_t index = name.size ? runs_find(rules, name) : runs_find_meant(rules, NULL);
	if (index == RULES_NO_RUN) {
		runs_refuse(
			client, name.size ? "there is no such run" : "nothing is running", actions);
		return;
	}
	struct rules_run *run = &rules->runs[index];
	if (runs_is_waiting(run) || run->state == RUN_STARTING || run->state == RUN_GOING) {
		/* Done after the act that is under way; said when the runner listens. */
		run->cancel = is_kill ? 'k' : 't';
		if (run->state == RUN_GOING)
			run->retry = MONO_NEVER; /* whoever asks again does not wait for it */
		runs_store_wanted(rules, index, actions);
	} else {
		runs_refuse(client, "it is not running", actions);
		return;
	}
	runs_reply(&nobody, true, text_of(run->name), actions);
}
