/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/rules.h"

#include "proto/base/check.h"
#include "supervisor/rules_parts.h"

#define NAMES_OF(LIST, type, function)                                   \
	const char *function(enum type value)                            \
	{                                                                \
		static const char *const names[] = {LIST(X)};            \
		check((size_t)value < sizeof(names) / sizeof(names[0])); \
		return names[value];                                     \
	}
#define X(NAME, text) text,
NAMES_OF(RULES_EVENTS, rules_event_type, rules_event_name)
NAMES_OF(RULES_ACTIONS, rules_action_type, rules_action_name)
NAMES_OF(RULES_ACTS, rules_act, rules_act_name)
#undef X

struct rules_action *rules_emit(struct rules_actions *actions, enum rules_action_type type)
{
	check(actions->count < RULES_ACTIONS_MAX);
	struct rules_action *action = &actions->list[actions->count++];
	*action = (struct rules_action){.type = type, .run = RULES_NO_RUN};
	return action;
}

void rules_emit_store(struct rules_actions *actions, enum rules_act act, uint32_t run)
{
	struct rules_action *action = rules_emit(actions, ACTION_STORE);
	action->run = run;
	action->store.act = act;
}

void rules_tell(struct rules *rules, struct rules_actions *actions, const struct message *message)
{
	if (worker_can_hear(rules))
		rules_emit(actions, ACTION_SEND)->send = *message;
}

/* xorshift64*: for jitter and names, not for secrets. */
uint64_t rules_random(struct rules *rules, uint64_t bound)
{
	check(bound > 0);
	rules->random ^= rules->random >> 12;
	rules->random ^= rules->random << 25;
	rules->random ^= rules->random >> 27;
	return (rules->random * UINT64_C(2685821657736338717) >> 16) % bound;
}

void rules_init(struct rules *rules)
{
	rules->leave.run = RULES_NO_RUN;
	rules->leave.due = rules->stop_due = rules->scan_retry = rules->retain_next = MONO_NEVER;
	rules->token.retry = MONO_NEVER;
	rules->pause.until = rules->pause.retry = rules->pause.save_next = MONO_NEVER;
	rules->gate.next = MONO_NEVER;
	rules->worker.due = rules->worker.ping_next = MONO_NEVER;
}

bool rules_add_host_op(struct rules *rules, struct text name)
{
	if (rules->host_op_count == RULES_HOST_OPS_MAX)
		return false;
	return text_copy(name, rules->host_ops[rules->host_op_count++], COMMAND_BYTES_MAX + 1);
}

static void start(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	rules->protocol = event->start.protocol;
	rules->restart_code = event->start.restart_code;
	rules->random = event->start.seed | 1;
	rules->token.is_kept = true;
	text_copy(event->start.token, rules->token.text, sizeof(rules->token.text));
	pause_start(rules, event);
	runs_start(rules, actions);
	gate_start(rules, actions);
	worker_start(rules, actions);
}

void rules_stop(struct rules *rules, int code, struct rules_actions *actions)
{
	if (rules->is_stopping)
		return;
	rules->is_stopping = true;
	rules->exit_code = code;
	rules->stop_due = mono_after(rules->now, SUPERVISOR_STOP_MS);
	runs_hasten(rules);
	worker_stop(rules, actions);
}

/* The end: the worker is gone and what was being stored is stored, or time is up. Runners go on by
 * themselves; the next supervisor finds them. */
static void maybe_exit(struct rules *rules, struct rules_actions *actions)
{
	if (!rules->is_stopping || rules->exit_code < 0)
		return;
	bool is_quiet = rules->worker.state == WORKER_NONE && !runs_are_storing(rules);
	if (is_quiet || mono_reached(rules->now, rules->stop_due)) {
		rules_emit(actions, ACTION_EXIT)->exit.code = rules->exit_code;
		rules->exit_code = -1;
		rules->stop_due = MONO_NEVER;
	}
}

static void reloaded(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	bool was_standalone = rules->protocol == PROTOCOL_NONE;
	if (!event->reloaded.is_restart || rules->is_stopping)
		return;
	rules->protocol = event->reloaded.protocol;
	rules->is_other_dashboard = rules->is_other_dashboard || event->reloaded.is_other_dashboard;
	if (was_standalone || rules->protocol == PROTOCOL_NONE)
		gate_start(rules, actions);
	if (was_standalone && rules->worker.state == WORKER_NONE)
		worker_start(rules, actions);
	else
		worker_stop(rules, actions);
}

static void due(struct rules *rules, struct rules_actions *actions)
{
	gate_due(rules, actions);
	worker_due(rules, actions);
	pause_due(rules, actions);
	runs_due(rules, actions);
	token_due(rules, actions);
	leave_due(rules, actions);
}

static void look_ended(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	if (rules->is_cloning && text_is(event->look_ended.name, "clone")) {
		rules->is_cloning = false;
		runs_go_on(rules, actions);
	}
	if (event->look_ended.epoch != rules->worker.epoch)
		return;
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_PROBED,
			.probed = {.request = event->look_ended.request,
				.name = event->look_ended.name,
				.outcome = event->look_ended.outcome,
				.code = event->look_ended.code,
				.output = event->look_ended.output}});
}

static void dispatch(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	switch (event->type) {
	case EVENT_START: start(rules, event, actions); break;
	case EVENT_DUE: due(rules, actions); break;
	case EVENT_PROBED: gate_probed(rules, event, actions); break;
	case EVENT_NETWORK: gate_network(rules, actions); break;
	case EVENT_AWAY:
		worker_away(rules);
		runs_away(rules);
		gate_network(rules, actions);
		break;
	case EVENT_WORKER_STARTED: worker_started(rules, event); break;
	case EVENT_WORKER_SAID: worker_said(rules, event, actions); break;
	case EVENT_WORKER_VIOLATED: worker_violated(rules, event, actions); break;
	case EVENT_WORKER_EXITED: worker_exited(rules, event, actions); break;
	case EVENT_STORED: runs_stored(rules, event, actions); break;
	case EVENT_FOUND: runs_found(rules, event, actions); break;
	case EVENT_RUNNER_STARTED: runs_runner_started(rules, event); break;
	case EVENT_RUNNER_REPORTED_START: runs_reported_start(rules, event, actions); break;
	case EVENT_RUNNER_REPORTED_RESULT: runs_reported_result(rules, event, actions); break;
	case EVENT_RUNNER_EXITED: runs_runner_exited(rules, event, actions); break;
	case EVENT_LOOK_ENDED: look_ended(rules, event, actions); break;
	case EVENT_ACTED: leave_acted(rules, event, actions); break;
	case EVENT_ASKED_RUN:
		runs_asked(rules, event->asked_run.command, ORIGIN_LOCAL, 0,
			event->asked_run.client, actions);
		break;
	case EVENT_ASKED_CANCEL:
		runs_cancel(rules, event->asked_cancel.run, event->asked_cancel.is_kill,
			event->asked_cancel.client, actions);
		break;
	case EVENT_RELOADED: reloaded(rules, event, actions); break;
	case EVENT_KICKED:
		gate_network(rules, actions);
		worker_kick(rules, actions);
		break;
	case EVENT_ASKED_PAUSE: pause_asked(rules, event, actions); break;
	case EVENT_STOP: rules_stop(rules, 0, actions); break;
	}
}

void rules_step(struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	check(event->now.ns >= rules->now.ns);
	rules->now = event->now;
	rules->wall = event->wall;
	dispatch(rules, event, actions);
	maybe_exit(rules, actions);
}

struct mono rules_due(const struct rules *rules)
{
	struct mono next = mono_earlier(gate_next(rules), worker_next(rules));
	next = mono_earlier(next, runs_next(rules));
	next = mono_earlier(next, token_next(rules));
	next = mono_earlier(next, pause_next(rules));
	next = mono_earlier(next, rules->stop_due);
	return mono_earlier(next, rules->leave.due);
}

const char *rules_gate_name(enum gate_state state)
{
	switch (state) {
	case GATE_NONE: return "none";
	case GATE_SHUT: return "waiting";
	case GATE_OPEN: return "open";
	case GATE_FORCED: return "opened anyway";
	}
	return "?";
}

const char *rules_worker_name(const struct rules_worker *worker)
{
	switch (worker->state) {
	case WORKER_NONE: return "none";
	case WORKER_WAITING: return worker->is_safe_mode ? "safe mode" : "waiting";
	case WORKER_STARTING: return "starting";
	case WORKER_UP: return "up";
	case WORKER_DEGRADED: return "degraded";
	case WORKER_ENDING: return "ending";
	}
	return "?";
}

const char *rules_run_state_name(const struct rules_run *run)
{
	switch (run->state) {
	case RUN_FREE: return "free";
	case RUN_ACCEPTING: return "accepting";
	case RUN_QUEUED: return "queued";
	case RUN_STARTING: return "starting";
	case RUN_GOING: return "running";
	case RUN_SETTLING: return "settling";
	case RUN_KEEPING: return "keeping";
	case RUN_ENDED: break;
	}
	switch (run->telling) {
	case TELLING_NONE: return "ended";
	case TELLING_OWED:
	case TELLING_TOLD:
	case TELLING_MARKING: return "owed";
	case TELLING_DONE: return "delivered";
	case TELLING_FAILED: return "undeliverable";
	}
	return "?";
}
