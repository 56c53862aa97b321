/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The supervisor's process: the real rules, and around them what its shell does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "supervisor/ops.h"
#include "tests/sim/process.h"

#define INBOX_MAX       512
#define TICKETS_MAX     256
#define RESTART_PAUSE   (3 * NS_PER_S) /* RestartSec= of the units */
#define SIM_DEADLINE_MS 300000

struct posted {
	struct rules_event event;
	struct record *record;
};

struct ticket {
	uint64_t life, request, ticket;
};

struct sim_supervisor {
	bool is_up;
	uint64_t incarnation, started_at;
	uint64_t ready; /* world time since which it knows all records and was not frozen */
	struct rules *rules;
	struct rules_actions actions;
	struct posted inbox[INBOX_MAX];
	uint32_t inbox_first, inbox_count;
	bool is_waking;
	struct ticket tickets[TICKETS_MAX];
	uint32_t ticket_next;
	char disk_token[32];
	uint32_t stores;
	struct mono due; /* of the rules, after the last turn */
};

static void turn(struct sim *sim, const struct rules_event *event);

struct sim_supervisor *supervisor_create(void)
{
	struct sim_supervisor *supervisor = calloc(1, sizeof(*supervisor));
	check(supervisor != NULL);
	supervisor->rules = calloc(1, sizeof(struct rules));
	check(supervisor->rules != NULL);
	return supervisor;
}

uint64_t supervisor_incarnation(const struct sim *sim)
{
	return sim->supervisor->incarnation;
}

uint64_t supervisor_started_at(const struct sim *sim)
{
	return sim->supervisor->started_at;
}

bool supervisor_is_up(const struct sim *sim)
{
	return sim->supervisor->is_up;
}

const char *supervisor_token(const struct sim *sim)
{
	return sim->supervisor->rules->token.text;
}

static uint64_t life_of(const struct sim *sim)
{
	return sim->supervisor->incarnation * SIM_LIFE_EPOCHS +
	       sim->supervisor->rules->worker.epoch;
}

static struct rules_event event_of(const struct sim *sim, enum rules_event_type type)
{
	return (struct rules_event){.type = type, .now = sim_mono(sim), .wall = sim_wall(sim)};
}

/* ---- the inbox ---- */

static void empty_inbox(struct sim_supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->inbox_count; i++)
		free(supervisor->inbox[(supervisor->inbox_first + i) % INBOX_MAX].record);
	supervisor->inbox_count = 0;
}

void supervisor_destroy(struct sim_supervisor *supervisor)
{
	empty_inbox(supervisor);
	free(supervisor->rules);
	free(supervisor);
}

static void notice_absence(struct sim *sim)
{
	uint64_t due = sim_world_time(sim, sim->supervisor->due);
	if (due == UINT64_MAX || sim->now < due + SUPERVISOR_AWAY_MS * NS_PER_MS)
		return;
	struct rules_event away = event_of(sim, EVENT_AWAY);
	sim->supervisor->ready = sim->now;
	turn(sim, &away);
}

static void on_inbox(struct sim *sim, struct sim_timer *timer)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	if (!supervisor->is_up || timer->b != supervisor->incarnation)
		return;
	if (sim->frozen_supervisor > sim->now) {
		sim_after(sim, sim->frozen_supervisor - sim->now, *timer);
		return;
	}
	supervisor->is_waking = false;
	notice_absence(sim);
	while (supervisor->is_up && supervisor->inbox_count > 0) {
		struct posted posted = supervisor->inbox[supervisor->inbox_first];
		supervisor->inbox_first = (supervisor->inbox_first + 1) % INBOX_MAX;
		supervisor->inbox_count--;
		posted.event.now = sim_mono(sim);
		posted.event.wall = sim_wall(sim);
		if (posted.event.type == EVENT_STORED)
			posted.event.stored.record = posted.record;
		if (posted.event.type == EVENT_FOUND)
			posted.event.found.record = posted.record;
		turn(sim, &posted.event);
		free(posted.record);
	}
}

void supervisor_post(struct sim *sim, uint64_t incarnation, const struct rules_event *event,
	const struct record *record)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	if (!supervisor->is_up || incarnation != supervisor->incarnation)
		return;
	sim_check(sim, supervisor->inbox_count < INBOX_MAX, "the supervisor's inbox overflows");
	struct posted *posted =
		&supervisor
			 ->inbox[(supervisor->inbox_first + supervisor->inbox_count++) % INBOX_MAX];
	*posted = (struct posted){.event = *event};
	if (record) {
		posted->record = malloc(sizeof(*record));
		check(posted->record != NULL);
		*posted->record = *record;
	}
	if (supervisor->is_waking)
		return;
	supervisor->is_waking = true;
	sim_after(sim, 10000 + sim_random(sim, NS_PER_MS),
		(struct sim_timer){.fire = on_inbox, .b = supervisor->incarnation});
}

/* ---- performing ---- */

static void on_probed(struct sim *sim, struct sim_timer *timer)
{
	struct rules_event event = event_of(sim, EVENT_PROBED);
	event.probed.is_good = !sim->is_network_down;
	event.probed.reason = text_of(sim->is_network_down ? "no route" : "");
	supervisor_post(sim, timer->b, &event, NULL);
}

static void on_store_late(struct sim *sim, struct sim_timer *timer)
{
	process_kill(sim, (uint32_t)timer->a);
}

void supervisor_store_ended(struct sim *sim, const struct process *process)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	struct rules_event event = event_of(sim, EVENT_STORED);
	if (process->incarnation == supervisor->incarnation && supervisor->is_up)
		supervisor->stores--;
	if (process->act == ACT_TOKEN && process->is_told)
		snprintf(supervisor->disk_token, sizeof(supervisor->disk_token), "%s",
			process->token);
	if (process->is_told)
		return;
	event.stored.act = process->act;
	event.stored.run = process->run;
	event.stored.error = ETIMEDOUT;
	supervisor_post(sim, process->incarnation, &event, NULL);
}

static void perform_store(struct sim *sim, const struct rules_action *action)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	const struct rules_run *run = action->run == RULES_NO_RUN
					      ? NULL
					      : &supervisor->rules->runs[action->run];
	if (supervisor->stores >= STORE_CHILDREN_MAX) {
		struct rules_event event = event_of(sim, EVENT_STORED);
		event.stored.act = action->store.act;
		event.stored.run = action->run;
		event.stored.error = EAGAIN;
		supervisor_post(sim, supervisor->incarnation, &event, NULL);
		return;
	}
	supervisor->stores++;
	uint32_t id = store_start(sim, run, action->run, action->store.act, action->store.byte);
	sim_after(
		sim, STORE_KILL_MS * NS_PER_MS, (struct sim_timer){.fire = on_store_late, .a = id});
}

static void perform_send(struct sim *sim, const struct message *message)
{
	if (message->type == MESSAGE_ENDED)
		sim->told_end_at = sim->now;
	if (message_encode(message, channel_room(sim, TO_WORKER)) == 0) {
		channel_wrote(sim, TO_WORKER);
		return;
	}
	struct rules_event event = event_of(sim, EVENT_WORKER_VIOLATED);
	event.worker_violated.epoch = sim->supervisor->rules->worker.epoch;
	event.worker_violated.why = text_of("it stopped reading");
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

static void perform_worker_start(struct sim *sim)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	uint64_t life = life_of(sim);
	sim_check(sim, !worker_process_is_alive(sim), "a second worker is started");
	channel_reset(sim, life);
	worker_process_start(sim, life);
	struct message hello = {.type = MESSAGE_HELLO,
		.hello = {.epoch = supervisor->rules->worker.epoch,
			.seed = sim_random(sim, UINT64_MAX),
			.version = TEXT_NONE,
			.url = text_of("https://d"),
			.protocol = supervisor->rules->protocol,
			.shared_token = text_of("shared"),
			.own_token = text_of(supervisor->rules->token.text),
			.host = text_of("h"),
			.host_type = TEXT_NONE,
			.location = TEXT_NONE,
			.device_type = TEXT_NONE,
			.theme_color = TEXT_NONE,
			.nixpkgs_version = TEXT_NONE,
			.repo_dir = TEXT_NONE,
			.repo_url = TEXT_NONE,
			.branch = TEXT_NONE,
			.runs_dir = TEXT_NONE,
			.ca_file = TEXT_NONE,
			.pinned_pubkey = TEXT_NONE,
			.interval_ms = sim->interval_ms,
			.paused = supervisor->rules->pause.is_on,
			.spread_ms = sim->spread_ms}};
	perform_send(sim, &hello);
	struct rules_event event = event_of(sim, EVENT_WORKER_STARTED);
	event.worker_started.epoch = supervisor->rules->worker.epoch;
	event.worker_started.pid = 3000;
	supervisor_post(sim, supervisor->incarnation, &event, NULL);
}

static struct process *own_runner(struct sim *sim, const char *run, uint32_t *count)
{
	struct process *found = NULL;
	*count = 0;
	for (uint32_t i = 0; i < SIM_PROCESS_MAX; i++) {
		struct process *process = &sim->processes->list[i];
		if (process->kind != PROCESS_RUNNER ||
			process->incarnation != sim->supervisor->incarnation)
			continue;
		(*count)++;
		if (strcmp(process->file->name, run) == 0)
			found = process;
	}
	return found;
}

static void perform_runner_start(struct sim *sim, uint32_t index)
{
	const struct rules_run *run = &sim->supervisor->rules->runs[index];
	struct rules_event event = event_of(sim, EVENT_RUNNER_EXITED);
	uint32_t count;
	sim_check(sim, !pause_holds(sim), "%s starts while the host is paused", run->name);
	own_runner(sim, run->name, &count);
	if (count < 2 && !sim_chance(sim, sim->faults.runner / 20)) {
		runner_start(sim, run, index, 60000 + sim_random(sim, SIM_DEADLINE_MS));
		return;
	}
	event.runner_exited.run = index;
	event.runner_exited.why = text_of("it could not be started: fork");
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

static void perform_watch(struct sim *sim, uint32_t index)
{
	const struct rules_run *run = &sim->supervisor->rules->runs[index];
	struct rules_event event = event_of(sim, EVENT_RUNNER_EXITED);
	struct process *process = process_runner(sim, (uint64_t)run->pid);
	if (process && run->start_ticks == process->id * 7ull) {
		process->watch_incarnation = sim->supervisor->incarnation;
		process->watch_run = index;
		return;
	}
	event.runner_exited.run = index;
	event.runner_exited.why = TEXT_NONE;
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

static void on_look(struct sim *sim, struct sim_timer *timer)
{
	struct rules_event event = event_of(sim, EVENT_LOOK_ENDED);
	event.look_ended.request = timer->a;
	event.look_ended.epoch = timer->b % SIM_LIFE_EPOCHS;
	event.look_ended.name = text_of("git-head");
	event.look_ended.outcome = OUTCOME_EXITED;
	event.look_ended.output = TEXT_NONE;
	supervisor_post(sim, timer->b / SIM_LIFE_EPOCHS, &event, NULL);
}

static void on_manager(struct sim *sim, struct sim_timer *timer)
{
	if (timer->b == sim->boot && !sim->supervisor->is_up)
		supervisor_start(sim);
}

/* However it ended: the service manager starts it again. */
static void gone(struct sim *sim)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	supervisor->is_up = false;
	disk_note_losses(&sim->disk);
	empty_inbox(supervisor);
	sim->frozen_supervisor = 0;
	worker_process_kill(sim, "its supervisor ended");
	sim_after(sim, RESTART_PAUSE, (struct sim_timer){.fire = on_manager, .b = sim->boot});
}

static void on_reboot(struct sim *sim, struct sim_timer *timer)
{
	if (timer->b == sim->boot)
		host_power_cut(sim);
}

/* Who leaves for a command has told how it ended, or has tried for long enough. */
static void check_leave(struct sim *sim)
{
	const struct rules *rules = sim->supervisor->rules;
	if (rules->leave.run == RULES_NO_RUN || rules->leave.state == LEAVE_NONE)
		return;
	const struct rules_run *run = &rules->runs[rules->leave.run];
	const struct file *file = disk_find(&sim->disk, run->name);
	sim_check(sim,
		run->origin == ORIGIN_LOCAL || file->truth.deliveries > 0 ||
			sim->now >= file->truth.ended_at + ANNOUNCE_DELIVER_MS * NS_PER_MS,
		"the agent leaves before it tells how %s ended", run->name);
}

static void perform_act(struct sim *sim, uint32_t index)
{
	check_leave(sim);
	sim_after(sim, 3 * NS_PER_S, (struct sim_timer){.fire = on_reboot, .b = sim->boot});
	struct rules_event event = event_of(sim, EVENT_ACTED);
	event.acted.run = index;
	event.acted.outcome = OUTCOME_EXITED;
	event.acted.reason = TEXT_NONE;
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

static void perform_kill(struct sim *sim, uint32_t index)
{
	uint32_t count;
	struct process *process = own_runner(sim, sim->supervisor->rules->runs[index].name, &count);
	if (process)
		process_kill(sim, process->id);
}

static void perform(struct sim *sim, const struct rules_action *action)
{
	uint64_t incarnation = sim->supervisor->incarnation;
	switch (action->type) {
	case ACTION_PROBE:
		sim_after(sim,
			NS_PER_MS + sim_random(sim,
					    sim->is_network_down ? 4 * NS_PER_S : 50 * NS_PER_MS),
			(struct sim_timer){.fire = on_probed, .b = incarnation});
		break;
	case ACTION_WORKER_START: perform_worker_start(sim); break;
	case ACTION_WORKER_KILL:
		sim->counts.worker_kills++;
		worker_process_kill(sim, "killed by its supervisor");
		break;
	case ACTION_SEND: perform_send(sim, &action->send); break;
	case ACTION_STORE: perform_store(sim, action); break;
	case ACTION_RUNNER_START: perform_runner_start(sim, action->run); break;
	case ACTION_RUNNER_KILL: perform_kill(sim, action->run); break;
	case ACTION_WATCH: perform_watch(sim, action->run); break;
	case ACTION_LOOK:
		sim_after(sim, 20 * NS_PER_MS,
			(struct sim_timer){
				.fire = on_look, .a = action->look.request, .b = life_of(sim)});
		break;
	case ACTION_ACT: perform_act(sim, action->run); break;
	case ACTION_REPLY:
		pause_note_reply(sim, action, sim->supervisor->rules->pause.is_on);
		break;
	case ACTION_EXIT: gone(sim); break;
	}
}

static void trace_turn(struct sim *sim, const struct rules_event *event)
{
	char line[2000];
	size_t at = 0;
	const struct rules_actions *actions = &sim->supervisor->actions;
	if (!sim->is_tracing)
		return;
	line[0] = '\0';
	for (uint32_t i = 0; i < actions->count && at < sizeof(line) - 200; i++) {
		const struct rules_action *action = &actions->list[i];
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s", i ? "; " : " -> ",
			rules_action_name(action->type));
		if (action->type == ACTION_SEND)
			at += (size_t)snprintf(line + at, sizeof(line) - at, " %s",
				message_name(action->send.type));
		if (action->type == ACTION_STORE)
			at += (size_t)snprintf(line + at, sizeof(line) - at, ": %s",
				rules_act_name(action->store.act));
		if (action->run != RULES_NO_RUN)
			at += (size_t)snprintf(line + at, sizeof(line) - at, " %s",
				sim->supervisor->rules->runs[action->run].name);
	}
	const char *what = event->type == EVENT_STORED ? rules_act_name(event->stored.act)
			   : event->type == EVENT_WORKER_SAID
				   ? message_name(event->worker_said.message->type)
				   : "";
	sim_trace(sim, "supervisor: %s%s%s%s%s", rules_event_name(event->type), *what ? " " : "",
		what, event->type == EVENT_STORED && event->stored.error ? " (failed)" : "", line);
}

/* Only a reboot that was announced long ago is named instead of done. */
static void note_named(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct file *file = sim->disk.files[i];
		if (strcmp(disk_read(file)->command, "reboot") == 0 && file->truth.executions > 0 &&
			sim->now >= file->truth.output_from + LEAVE_ACTED_MS * NS_PER_MS)
			file->truth.is_named = true;
	}
}

/* That dashboard asks again by itself or not at all: what waits would run when nobody wants it. */
static void check_refused(struct sim *sim, const struct rules_event *event)
{
	const struct sim_supervisor *supervisor = sim->supervisor;
	if (event->type != EVENT_WORKER_SAID || !sim->is_websocket || !pause_holds(sim))
		return;
	for (uint32_t i = 0; i < supervisor->actions.count; i++) {
		const struct rules_action *action = &supervisor->actions.list[i];
		sim_check(sim,
			action->type != ACTION_STORE || action->store.act != ACT_ACCEPT ||
				supervisor->rules->runs[action->run].outcome == OUTCOME_REFUSED,
			"a paused host takes a command");
	}
}

static void turn(struct sim *sim, const struct rules_event *event)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	bool was_scanned = supervisor->rules->is_scanned;
	uint64_t incarnation = supervisor->incarnation;
	supervisor->actions.count = 0;
	bool was_stopping = supervisor->rules->is_stopping;
	if (event->type == EVENT_ASKED_CANCEL)
		session_note_kill(sim);
	if (event->type == EVENT_ASKED_PAUSE)
		pause_note_asked(sim, event);
	rules_step(supervisor->rules, event, &supervisor->actions);
	if (!was_stopping && supervisor->rules->is_stopping && event->type != EVENT_STOP)
		check_leave(sim);
	check_refused(sim, event);
	if (!was_scanned && supervisor->rules->leave.trouble[0])
		note_named(sim);
	supervisor->due = rules_due(supervisor->rules);
	trace_turn(sim, event);
	if (supervisor->ready == UINT64_MAX && supervisor->rules->is_scanned)
		supervisor->ready = sim->now;
	if (event->type == EVENT_STORED)
		sim_check(sim, rules_count_queued(supervisor->rules) <= RUNS_QUEUED_MAX + 1,
			"%u commands wait", rules_count_queued(supervisor->rules));
	for (uint32_t i = 0; i < supervisor->actions.count; i++) {
		/* Killed between any two actions: the rest is never done. */
		if (sim_chance(sim, sim->faults.crash)) {
			sim->counts.crashes++;
			supervisor_kill(sim);
		}
		if (!supervisor->is_up || supervisor->incarnation != incarnation)
			return;
		perform(sim, &supervisor->actions.list[i]);
	}
}

/* ---- its life ---- */

void supervisor_start(struct sim *sim)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	sim_check(sim, !supervisor->is_up, "a second supervisor is started");
	supervisor->is_up = true;
	supervisor->incarnation++;
	supervisor->started_at = sim->now;
	supervisor->stores = 0;
	supervisor->ready = UINT64_MAX;
	supervisor->is_waking = false;
	memset(supervisor->rules, 0, sizeof(*supervisor->rules));
	rules_init(supervisor->rules);
	sim_trace(sim, "supervisor: process %u starts", (unsigned)supervisor->incarnation);
	struct rules_event event = event_of(sim, EVENT_START);
	event.start.seed = sim_random(sim, UINT64_MAX);
	event.start.protocol = sim->is_websocket ? PROTOCOL_WEBSOCKET : PROTOCOL_HTTP;
	event.start.token = text_of(supervisor->disk_token);
	event.start.restart_code = 101;
	event.start.pause = pause_read(sim);
	turn(sim, &event);
}

void supervisor_kill(struct sim *sim)
{
	if (!sim->supervisor->is_up)
		return;
	sim_trace(sim, "supervisor: killed");
	gone(sim);
}

uint64_t supervisor_next(struct sim *sim)
{
	if (!sim->supervisor->is_up)
		return UINT64_MAX;
	return sim_world_time(sim, sim->supervisor->due);
}

void supervisor_due(struct sim *sim)
{
	notice_absence(sim);
	if (!sim->supervisor->is_up || !mono_reached(sim_mono(sim), sim->supervisor->due))
		return;
	struct rules_event event = event_of(sim, EVENT_DUE);
	turn(sim, &event);
}

void supervisor_hears(struct sim *sim, uint64_t life, struct text payload)
{
	struct message message;
	struct rules_event event = event_of(sim, EVENT_WORKER_SAID);
	if (!sim->supervisor->is_up || life / SIM_LIFE_EPOCHS != sim->supervisor->incarnation)
		return;
	sim_check(sim,
		message_decode(payload, &message) == SCHEMA_GOOD &&
			message_is_from_worker(message.type),
		"the worker says what it must not");
	notice_absence(sim);
	event.worker_said.epoch = life % SIM_LIFE_EPOCHS;
	event.worker_said.message = &message;
	turn(sim, &event);
}

static void on_worker_exit(struct sim *sim, struct sim_timer *timer)
{
	struct rules_event event = event_of(sim, EVENT_WORKER_EXITED);
	event.worker_exited.epoch = timer->b % SIM_LIFE_EPOCHS;
	event.worker_exited.why = TEXT_NONE;
	if (timer->b / SIM_LIFE_EPOCHS != sim->supervisor->incarnation || !sim->supervisor->is_up)
		return;
	if (sim->frozen_supervisor > sim->now) {
		sim_after(sim, sim->frozen_supervisor - sim->now, *timer);
		return;
	}
	channel_drain(sim);
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

void supervisor_worker_ended(struct sim *sim, uint64_t life)
{
	sim_after(sim, 10000 + sim_random(sim, NS_PER_MS),
		(struct sim_timer){.fire = on_worker_exit, .b = life});
}

void supervisor_note_ticket(struct sim *sim, uint64_t life, uint64_t request, uint64_t ticket)
{
	struct sim_supervisor *supervisor = sim->supervisor;
	supervisor->tickets[supervisor->ticket_next++ % TICKETS_MAX] = (struct ticket){
		life, request, ticket};
}

uint64_t supervisor_ticket(const struct sim *sim, const struct rules_run *run)
{
	const struct sim_supervisor *supervisor = sim->supervisor;
	uint64_t life = supervisor->incarnation * SIM_LIFE_EPOCHS + run->worker_epoch;
	for (uint32_t i = 0; i < TICKETS_MAX && run->origin == ORIGIN_DASHBOARD; i++) {
		if (supervisor->tickets[i].life == life &&
			supervisor->tickets[i].request == run->request)
			return supervisor->tickets[i].ticket;
	}
	return 0;
}

uint32_t supervisor_owed(const struct sim *sim)
{
	return rules_count_owed(sim->supervisor->rules);
}

uint32_t supervisor_queued(const struct sim *sim)
{
	return rules_count_queued(sim->supervisor->rules);
}

bool supervisor_is_busy(const struct sim *sim)
{
	const struct rules *rules = sim->supervisor->rules;
	for (uint32_t i = 0; i < rules->run_count; i++) {
		if (rules->runs[i].state != RUN_FREE && rules->runs[i].state != RUN_ENDED)
			return true;
	}
	return !rules->is_scanned || rules->is_stopping || rules->is_scanning ||
	       rules->is_more_owed || rules->scan_retry.ns != MONO_NEVER.ns;
}

uint64_t supervisor_ready_ms(const struct sim *sim)
{
	const struct sim_supervisor *supervisor = sim->supervisor;
	bool is_frozen = sim->frozen_supervisor > sim->now;
	if (!supervisor->is_up || is_frozen || supervisor->ready > sim->now)
		return 0;
	return (sim->now - supervisor->ready) / NS_PER_MS;
}

static void tell(struct sim *sim, struct rules_event event)
{
	supervisor_post(sim, sim->supervisor->incarnation, &event, NULL);
}

void supervisor_stop(struct sim *sim)
{
	tell(sim, event_of(sim, EVENT_STOP));
}

void supervisor_network(struct sim *sim)
{
	tell(sim, event_of(sim, EVENT_NETWORK));
}

void supervisor_ask_local(struct sim *sim, const char *command)
{
	struct rules_event event = event_of(sim, EVENT_ASKED_RUN);
	event.asked_run.client = 1;
	event.asked_run.command = text_of(command);
	tell(sim, event);
}

void supervisor_cancel(struct sim *sim)
{
	struct rules_event event = event_of(sim, EVENT_ASKED_CANCEL);
	event.asked_cancel.client = 1;
	event.asked_cancel.run = TEXT_NONE;
	event.asked_cancel.is_kill = sim_random(sim, 2) == 0;
	tell(sim, event);
}

void supervisor_pause(struct sim *sim, bool is_on)
{
	struct rules_event event = pause_ask(sim, is_on);
	tell(sim, event);
}

bool supervisor_is_paused(const struct sim *sim)
{
	return sim->supervisor->rules->pause.is_on;
}

bool supervisor_is_scanned(const struct sim *sim)
{
	return sim->supervisor->rules->is_scanned;
}

bool supervisor_sees(const struct sim *sim, const struct process *runner)
{
	const struct sim_supervisor *supervisor = sim->supervisor;
	bool is_own = runner->incarnation == supervisor->incarnation;
	if (is_own || !supervisor->is_up || !supervisor->rules->is_scanned)
		return true;
	for (uint32_t i = 0; i < supervisor->rules->run_count; i++) {
		const struct rules_run *run = &supervisor->rules->runs[i];
		if (strcmp(run->name, runner->file->name) == 0)
			return run->state != RUN_QUEUED && run->state != RUN_STARTING;
	}
	return false;
}

struct sim_kept supervisor_pause_to_keep(const struct sim *sim)
{
	return pause_to_keep(sim, sim->supervisor->rules);
}
