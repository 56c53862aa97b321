/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the parts of the rules (rules_*.c) share; nobody else. */
#pragma once

#include "supervisor/rules.h"

/* The pause before the disk is asked again: doubled from the first to the last. */
#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS  30000

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
/* One that waits for its time starts now. */
void worker_kick(struct rules *rules, struct rules_actions *actions);
void worker_probed(struct rules *rules, bool is_good, struct rules_actions *actions);
bool worker_is_listening(const struct rules *rules);
/* One that was asked to end still waits for the answers it needs. */
bool worker_can_hear(const struct rules *rules);
struct mono worker_next(const struct rules *rules);

void pause_start(struct rules *rules, const struct rules_event *event);
void pause_asked(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void pause_stored(struct rules *rules, int error, struct rules_actions *actions);
void pause_due(struct rules *rules, struct rules_actions *actions);
struct mono pause_next(const struct rules *rules);
void pause_tell(struct rules *rules, struct rules_actions *actions);

/* ---- rules_token.c ---- */
void token_told(struct rules *rules, struct text token, struct rules_actions *actions);
void token_stored(struct rules *rules, int error, struct rules_actions *actions);
void token_due(struct rules *rules, struct rules_actions *actions);
struct mono token_next(const struct rules *rules);

/* ---- rules_places.c ---- */
/* RULES_NO_RUN: there is none. */
uint32_t runs_find(const struct rules *rules, struct text name);
/* The run that is meant without a name: what goes on, else what is about to. except: not this. */
uint32_t runs_find_meant(const struct rules *rules, const struct rules_run *except);
/* Empties it for another run. RULES_NO_RUN: each place is live, or owed. */
uint32_t runs_take_place(struct rules *rules);
/* Accepted or about to be, and not started. */
bool runs_is_waiting(const struct rules_run *run);
/* Somebody's runner has the record; without its pid that has not begun it. */
bool runs_has_begun(const struct rules_run *run);
/* What the disk did not take yet: a command, a result, or that the dashboard has it. */
bool runs_is_only_here(const struct rules_run *run);
/* Something is lost, or told twice, when this process ends now. */
bool runs_are_storing(const struct rules *rules);
/* What was asked for does not begin now. */
bool runs_are_held_up(const struct rules *rules);
/* A step may look at every run; what it cannot say in one step stays due. */
bool runs_has_room(const struct rules_actions *actions);

/* ---- rules_asked.c ---- */
void runs_asked(struct rules *rules, struct text command, enum origin origin, uint64_t request,
	uint64_t client, struct rules_actions *actions);
void runs_cancel(struct rules *rules, struct text name, bool is_kill, uint64_t client,
	struct rules_actions *actions);
/* To the client that asked for it, where one still waits. */
void runs_reply(
	const struct rules_run *run, bool is_good, struct text text, struct rules_actions *actions);
void runs_refuse(uint64_t client, const char *why, struct rules_actions *actions);
/* reason: REASON_BYTES_MAX + 1, for the sentence; false: nothing is in the way. */
bool runs_find_busy_refusal(
	const struct rules *rules, const struct rules_run *asked, enum origin origin, char *reason);

/* ---- rules_record.c ---- */
void runs_scan(struct rules *rules, struct rules_actions *actions);
void runs_scanned(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_found(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_take_record(struct rules_run *run, const struct record *record);
void runs_adopt(struct rules *rules, uint32_t index, const struct record *record,
	struct rules_actions *actions);
void runs_watch_leftover(struct rules *rules, uint32_t index, struct rules_actions *actions);

/* ---- rules_stored.c ---- */
void runs_stored(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);

/* ---- rules_runs.c ---- */
void runs_start(struct rules *rules, struct rules_actions *actions);
void runs_store(
	struct rules *rules, uint32_t index, enum rules_act act, struct rules_actions *actions);
void runs_store_wanted(struct rules *rules, uint32_t index, struct rules_actions *actions);
void runs_store_later(struct rules *rules, struct rules_run *run);
void runs_go_on(struct rules *rules, struct rules_actions *actions);
void runs_runner_started(struct rules *rules, const struct rules_event *event);
void runs_reported_start(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_reported_result(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void runs_runner_exited(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
/* Nothing of it ran, nor will: it is refused with this sentence. */
void runs_failed(
	struct rules *rules, uint32_t index, struct text why, struct rules_actions *actions);
/* The outcome is in the record, or was refused there. */
void runs_ended(struct rules *rules, uint32_t index, struct rules_actions *actions);
void runs_tell_started(
	struct rules *rules, const struct rules_run *run, struct rules_actions *actions);
void runs_sent(
	struct rules *rules, struct text name, uint64_t offset, struct rules_actions *actions);
/* A worker is ready: it learns what goes on and what is owed. */
void runs_worker_ready(struct rules *rules, struct rules_actions *actions);
void runs_due(struct rules *rules, struct rules_actions *actions);
/* This process ends: what the disk did not take is tried again now. */
void runs_hasten(struct rules *rules);
struct mono runs_next(const struct rules *rules);
/* This process was not scheduled for a while. */
void runs_away(struct rules *rules);

/* ---- rules_owed.c ---- */
void runs_told(struct rules *rules, struct text name, struct text undeliverable,
	struct rules_actions *actions);
/* is_blamed: it died by itself, perhaps of what it was told. */
void runs_worker_gone(struct rules *rules, bool is_blamed);
bool runs_is_owed(const struct rules_run *run);
void runs_tell_ended(
	struct rules *rules, const struct rules_run *run, struct rules_actions *actions);
/* The window: RUNS_OWED_TOLD_MAX outcomes at a time are the worker's to deliver. */
void runs_tell_owed(struct rules *rules, struct rules_actions *actions);
void runs_marked(struct rules *rules, uint32_t index, struct rules_actions *actions);
/* The next worker's dashboard did not ask for what is owed now: that stays on the disk, and what it
 * is owed itself is looked for there. */
void runs_disown(struct rules *rules);

bool leave_is_under_way(const struct rules *rules);
/* A run ended: if it is an announced command that can be done, it is done once it is delivered. */
void leave_announced(struct rules *rules, uint32_t index);
/* The records are read: what the last command announced and the agent before did not do. */
void leave_found(struct rules *rules);
/* The worker wants the agent started anew. */
void leave_asked(struct rules *rules);
void leave_delivered(struct rules *rules, uint32_t run);
void leave_acted(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
void leave_due(struct rules *rules, struct rules_actions *actions);
/* The agent ends with this code, the worker first. */
void rules_stop(struct rules *rules, int code, struct rules_actions *actions);

/* A run ended now, or had ended according to its record. */
void history_note_run(struct rules *rules, const struct rules_run *run);
void history_note_record(struct rules *rules, const struct record *record);
/* One that was asked for later has ended already. */
bool history_is_past(const struct rules *rules, const struct rules_run *run);
/* All of it, oldest first: to a worker that has just begun, or where an end came too late to be the
 * last word. The ends that it knows then are told as old ones. */
void history_tell(struct rules *rules, struct rules_actions *actions);
