/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The worker's life: started, pinged, degraded, killed, started again after a growing pause, and in
 * safe mode every few minutes for ever. At most one lives at a time: the next is only started when
 * the last was seen to exit.
 */
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "supervisor/rules_parts.h"

bool worker_is_listening(const struct rules *rules)
{
	return rules->worker.state == WORKER_UP || rules->worker.state == WORKER_DEGRADED;
}

bool worker_can_hear(const struct rules *rules)
{
	return worker_is_listening(rules) ||
	       (rules->worker.state == WORKER_ENDING && !rules->worker.is_killed);
}

static void spawn(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	worker->state = WORKER_STARTING;
	worker->epoch++;
	worker->pid = 0;
	worker->since = worker->heard = rules->now;
	worker->due = worker->ping_next = MONO_NEVER;
	worker->is_killed = worker->is_untrusted = worker->is_blameless = false;
	worker->is_doubted = worker->is_outdated = false;
	worker->link = LINK_NONE;
	worker->contact = worker->retry = MONO_NEVER;
	worker->detail[0] = '\0';
	if (rules->is_other_dashboard)
		runs_disown(rules);
	rules->is_other_dashboard = false;
	rules_emit(actions, ACTION_WORKER_START);
}

void worker_start(struct rules *rules, struct rules_actions *actions)
{
	if (rules->protocol == PROTOCOL_NONE) {
		rules->worker.state = WORKER_NONE;
		return;
	}
	rules->worker.backoff_ms = WORKER_BACKOFF_MIN_MS;
	spawn(rules, actions);
}

void worker_started(struct rules *rules, const struct rules_event *event)
{
	if (event->worker_started.epoch == rules->worker.epoch)
		rules->worker.pid = event->worker_started.pid;
}

static void kill_now(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	worker->state = WORKER_ENDING;
	worker->due = worker->ping_next = MONO_NEVER;
	if (!worker->is_killed)
		rules_emit(actions, ACTION_WORKER_KILL);
	worker->is_killed = true;
}

void worker_stop(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	switch (worker->state) {
	case WORKER_NONE: break;
	case WORKER_WAITING:
		if (rules->is_stopping || rules->protocol == PROTOCOL_NONE)
			worker->state = WORKER_NONE;
		else
			worker->due = rules->now;
		break;
	case WORKER_STARTING:
		worker->is_outdated = true;
		kill_now(rules, actions);
		break;
	case WORKER_UP:
	case WORKER_DEGRADED:
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_STOP, .stop = {WORKER_STOP_MS}});
		worker->state = WORKER_ENDING;
		worker->due = mono_after(rules->now, WORKER_STOP_MS);
		worker->ping_next = MONO_NEVER;
		break;
	case WORKER_ENDING: break;
	}
}

void worker_kick(struct rules *rules, struct rules_actions *actions)
{
	if (rules->worker.state == WORKER_WAITING && !rules->is_stopping)
		spawn(rules, actions);
}

static void ready(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	worker->state = WORKER_UP;
	worker->since = rules->now;
	worker->ping_next = mono_after(rules->now, WORKER_PING_EVERY_MS);
	if (rules->gate.state == GATE_OPEN || rules->gate.state == GATE_FORCED)
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_OPEN, .open = {.waited_ms = 0}});
	if (rules->pause.is_on)
		pause_tell(rules, actions);
	if (rules->is_scanned)
		history_tell(rules, actions);
	runs_worker_ready(rules, actions);
}

static void pong(
	struct rules *rules, const struct message_pong *said, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	worker->link = (enum link)said->link;
	worker->contact = said->contact_ms == UINT64_MAX
				  ? MONO_NEVER
				  : mono_before(rules->now, said->contact_ms);
	worker->retry = mono_after(rules->now, said->retry_ms);
	text_copy(said->detail, worker->detail, sizeof(worker->detail));
	if (worker->state == WORKER_DEGRADED)
		worker->state = WORKER_UP;
	/* Alive, but out of touch for long: is it the network or the worker? A probe tells. */
	bool is_silent = said->contact_ms > WORKER_SILENT_LINK_MS &&
			 mono_ms_since(rules->now, worker->since) > WORKER_SILENT_LINK_MS &&
			 mono_ms_since(rules->now, worker->away) > WORKER_SILENT_LINK_MS;
	bool is_time = !worker->was_replaced ||
		       mono_ms_since(rules->now, worker->replaced) > WORKER_REPLACE_GAP_MS;
	if (is_silent && is_time && worker->link != LINK_REFUSED && !rules->gate.is_probing) {
		rules->gate.is_probing = true;
		worker->is_doubted = true;
		rules_emit(actions, ACTION_PROBE);
	}
}

void worker_probed(struct rules *rules, bool is_good, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	bool is_meant = worker->is_doubted;
	worker->is_doubted = false;
	/* The gate asks, too, and may open before it has the answer. */
	if (!is_good || !is_meant || !worker_is_listening(rules))
		return;
	worker->was_replaced = true;
	worker->replaced = rules->now;
	worker->is_blameless = true;
	kill_now(rules, actions);
}

/* A message that only another version or a broken worker would send now. */
static void violation(struct rules *rules, struct rules_actions *actions)
{
	rules->worker.is_untrusted = true;
	kill_now(rules, actions);
}

static bool is_last_word(enum message_type type)
{
	return type == MESSAGE_RUN || type == MESSAGE_DELIVERED || type == MESSAGE_UNDELIVERABLE ||
	       type == MESSAGE_TOKEN;
}

/* All looks only read, but for the clone, which shares its place with the commands. */
static void probe(
	struct rules *rules, const struct message_probe *said, struct rules_actions *actions)
{
	bool is_clone = text_is(said->name, "clone");
	if (is_clone && (rules->is_cloning || rules_busy_run(rules) != RULES_NO_RUN)) {
		rules_tell(rules, actions,
			&(struct message){.type = MESSAGE_PROBED,
				.probed = {.request = said->request,
					.name = said->name,
					.outcome = OUTCOME_REFUSED}});
		return;
	}
	rules->is_cloning = rules->is_cloning || is_clone;
	struct rules_action *action = rules_emit(actions, ACTION_LOOK);
	action->look.request = said->request;
	action->look.name = said->name;
}

void worker_said(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	const struct message *said = event->worker_said.message;
	struct rules_worker *worker = &rules->worker;
	if (event->worker_said.epoch != worker->epoch || worker->is_untrusted)
		return;
	/* What a killed one said last counts where the dashboard has already forgotten it. */
	if (worker->is_killed && !is_last_word(said->type))
		return;
	worker->heard = rules->now;
	bool is_first = worker->state == WORKER_STARTING;
	if (is_first != (said->type == MESSAGE_READY) ||
		(is_first && said->ready.epoch != worker->epoch)) {
		violation(rules, actions);
		return;
	}
	switch (said->type) {
	case MESSAGE_READY: ready(rules, actions); break;
	case MESSAGE_PONG: pong(rules, &said->pong, actions); break;
	case MESSAGE_RUN:
		runs_asked(
			rules, said->run.command, ORIGIN_DASHBOARD, said->run.request, 0, actions);
		break;
	case MESSAGE_CANCEL:
		runs_cancel(rules, said->cancel.run, said->cancel.kill, RULES_NO_CLIENT, actions);
		break;
	case MESSAGE_SENT: runs_sent(rules, said->sent.run, said->sent.offset, actions); break;
	case MESSAGE_DELIVERED: runs_told(rules, said->delivered.run, TEXT_NONE, actions); break;
	case MESSAGE_UNDELIVERABLE:
		runs_told(rules, said->undeliverable.run,
			said->undeliverable.reason.size ? said->undeliverable.reason
							: text_of("no reason was given"),
			actions);
		break;
	case MESSAGE_PROBE: probe(rules, &said->probe, actions); break;
	case MESSAGE_TOKEN: token_told(rules, said->token.token, actions); break;
	case MESSAGE_LEAVE: leave_asked(rules); break;
	case MESSAGE_HELLO:
	case MESSAGE_OPEN:
	case MESSAGE_PING:
	case MESSAGE_NETWORK:
	case MESSAGE_ACCEPTED:
	case MESSAGE_STARTED:
	case MESSAGE_ENDED:
	case MESSAGE_PROBED:
	case MESSAGE_KEPT:
	case MESSAGE_MARKED:
	case MESSAGE_PAUSED:
	case MESSAGE_HISTORY:
	case MESSAGE_STOP: violation(rules, actions); break;
	}
}

void worker_violated(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	if (event->worker_violated.epoch == rules->worker.epoch &&
		rules->worker.state != WORKER_WAITING && rules->worker.state != WORKER_NONE)
		violation(rules, actions);
}

/* Whether this death makes WORKER_DEATHS_MAX within WORKER_DEATHS_IN_MS. */
static bool dies_too_often(struct rules *rules)
{
	struct rules_worker *worker = &rules->worker;
	memmove(&worker->deaths[1], &worker->deaths[0],
		sizeof(worker->deaths[0]) * (RULES_DEATHS_KEPT - 1));
	worker->deaths[0] = rules->now;
	if (worker->death_count < RULES_DEATHS_KEPT)
		worker->death_count++;
	return worker->death_count == RULES_DEATHS_KEPT &&
	       mono_ms_since(rules->now, worker->deaths[RULES_DEATHS_KEPT - 1]) <
		       WORKER_DEATHS_IN_MS;
}

/* Only a worker that lived for WORKER_HEALTHY_MS makes the deaths before it forgotten. */
static void recover(struct rules_worker *worker)
{
	worker->backoff_ms = WORKER_BACKOFF_MIN_MS;
	worker->death_count = 0;
	worker->is_safe_mode = false;
}

/* ±20 %, so that the workers of a fleet that died together do not come back together. */
static uint64_t jittered(struct rules *rules, uint64_t ms)
{
	return ms - ms / 5 + rules_random(rules, ms * 2 / 5 + 1);
}

void worker_exited(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	if (event->worker_exited.epoch != worker->epoch)
		return;
	bool was_wanted = worker->state == WORKER_ENDING &&
			  (!worker->is_killed || worker->is_outdated);
	bool was_healthy = worker_is_listening(rules) &&
			   mono_ms_since(rules->now, worker->since) >= WORKER_HEALTHY_MS;
	worker->pid = 0;
	worker->ping_next = MONO_NEVER;
	runs_worker_gone(rules, !was_wanted && !worker->is_blameless && !rules->is_stopping);
	if (!rules->is_saving_flight)
		rules_emit_store(actions, ACT_FLIGHT, RULES_NO_RUN);
	rules->is_saving_flight = true;
	if (rules->is_stopping || rules->protocol == PROTOCOL_NONE) {
		worker->state = WORKER_NONE;
		worker->due = MONO_NEVER;
		return;
	}
	if (was_wanted) { /* a new configuration */
		spawn(rules, actions);
		return;
	}
	if (was_healthy)
		recover(worker);
	if (dies_too_often(rules))
		worker->is_safe_mode = true;
	uint64_t pause = worker->is_safe_mode ? WORKER_SAFE_MODE_MS : worker->backoff_ms;
	worker->state = WORKER_WAITING;
	worker->since = rules->now;
	worker->due = mono_after(rules->now, jittered(rules, pause));
	worker->backoff_ms = worker->backoff_ms * 2 > WORKER_BACKOFF_MAX_MS
				     ? WORKER_BACKOFF_MAX_MS
				     : worker->backoff_ms * 2;
}

void worker_away(struct rules *rules)
{
	/* The silence was ours: what the worker owes it may answer now. */
	struct rules_worker *worker = &rules->worker;
	worker->heard = worker->away = rules->now;
	if (worker->state == WORKER_ENDING && !worker->is_killed)
		worker->due = mono_after(rules->now, WORKER_STOP_MS);
}

static void ping(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	worker->ping_next = mono_after(rules->now, WORKER_PING_EVERY_MS);
	rules_tell(rules, actions,
		&(struct message){
			.type = MESSAGE_PING, .ping = {.sequence = ++worker->ping_sequence}});
}

void worker_due(struct rules *rules, struct rules_actions *actions)
{
	struct rules_worker *worker = &rules->worker;
	uint64_t silent = mono_ms_since(rules->now, worker->heard);
	switch (worker->state) {
	case WORKER_NONE: break;
	case WORKER_WAITING:
		if (mono_reached(rules->now, worker->due))
			spawn(rules, actions);
		break;
	case WORKER_STARTING:
		if (silent >= WORKER_HUNG_MS)
			kill_now(rules, actions);
		break;
	case WORKER_UP:
	case WORKER_DEGRADED:
		if (silent >= WORKER_HUNG_MS) {
			kill_now(rules, actions);
			break;
		}
		if (silent >= WORKER_DEGRADED_MS)
			worker->state = WORKER_DEGRADED;
		if (mono_reached(rules->now, worker->ping_next))
			ping(rules, actions);
		if (mono_ms_since(rules->now, worker->since) >= WORKER_HEALTHY_MS)
			recover(worker);
		break;
	case WORKER_ENDING:
		if (mono_reached(rules->now, worker->due))
			kill_now(rules, actions);
		break;
	}
}

struct mono worker_next(const struct rules *rules)
{
	const struct rules_worker *worker = &rules->worker;
	switch (worker->state) {
	case WORKER_NONE: return MONO_NEVER;
	case WORKER_WAITING:
	case WORKER_ENDING: return worker->due;
	case WORKER_STARTING: return mono_after(worker->heard, WORKER_HUNG_MS);
	case WORKER_UP:
		return mono_earlier(
			worker->ping_next, mono_after(worker->heard, WORKER_DEGRADED_MS));
	case WORKER_DEGRADED:
		return mono_earlier(worker->ping_next, mono_after(worker->heard, WORKER_HUNG_MS));
	}
	return MONO_NEVER;
}
