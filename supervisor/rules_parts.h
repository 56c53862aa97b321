/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the parts of the rules (rules_gate.c, rules_worker.c, rules_runs.c) share; nobody else. */
#pragma once

#include "supervisor/rules.h"

/* Emitting. */
struct rules_action *rules_emit(struct rules_actions *actions, enum rules_action_type type);
void rules_emit_store(struct rules_actions *actions, enum rules_act act, uint32_t run);
/* To the worker, if there is one that listens. */
void rules_tell(struct rules *rules, struct rules_actions *actions, const struct message *message);
/* Between 0 and bound - 1, from the seeded generator. */
uint64_t rules_random(struct rules *rules, uint64_t bound);

void gate_start(struct rules *rules, struct rules_actions *actions);
void gate_probed(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void gate_network(struct rules *rules, struct rules_actions *actions);
void gate_due(struct rules *rules, struct rules_actions *actions);
struct mono gate_next(const struct rules *rules);

void worker_start(struct rules *rules, struct rules_actions *actions);
void worker_started(struct rules *rules, const struct rules_event *event);
void worker_said(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void worker_violated(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void worker_exited(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void worker_due(struct rules *rules, struct rules_actions *actions);
void worker_away(struct rules *rules);
/* Tells it to end; the next starts at once unless the agent stops. */
void worker_stop(struct rules *rules, struct rules_actions *actions);
void worker_probed(struct rules *rules, bool is_good, struct rules_actions *actions);
bool worker_is_listening(const struct rules *rules);
struct mono worker_next(const struct rules *rules);

void runs_start(struct rules *rules, struct rules_actions *actions);
void runs_asked(struct rules *rules, struct text command, enum origin origin, uint64_t request,
	uint64_t client, struct rules_actions *actions);
void runs_cancel(struct rules *rules, struct text name, bool is_kill, uint64_t client,
	struct rules_actions *actions);
void runs_stored(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_found(struct rules *rules, const struct rules_event *event);
void runs_runner_started(struct rules *rules, const struct rules_event *event);
void runs_reported_start(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_reported_result(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_runner_exited(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_told(struct rules *rules, struct text name, struct text undeliverable,
	struct rules_actions *actions);
/* A worker is ready: it learns what goes on and what is owed. */
void runs_worker_ready(struct rules *rules, struct rules_actions *actions);
void runs_worker_gone(struct rules *rules);
void runs_token(struct rules *rules, struct text token, struct rules_actions *actions);
void runs_due(struct rules *rules, struct rules_actions *actions);
struct mono runs_next(const struct rules *rules);
bool runs_are_storing(const struct rules *rules);
