/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The worker's process: the real core and inbox, and around them what its shell does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/sim/worker.h"
#include "worker/heard.h"
#include "worker/trace.h"

#define TURN_SAYS_BYTES_MAX (3 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES))

struct sim_worker *worker_process_create(void)
{
	struct sim_worker *worker = calloc(1, sizeof(*worker));
	check(worker != NULL);
	inbox_init(&worker->inbox);
	bytes_init(&worker->line, TRACE_BYTES_MAX);
	return worker;
}

void worker_process_destroy(struct sim_worker *worker)
{
	inbox_finish(&worker->inbox);
	bytes_finish(&worker->line);
	free(worker);
}

bool worker_process_is_alive(const struct sim *sim)
{
	return sim->worker->is_alive;
}

uint64_t worker_process_life(const struct sim *sim)
{
	return sim->worker->life;
}

bool worker_process_waits(const struct sim *sim, uint64_t life)
{
	return sim->worker->is_alive && sim->worker->life == life;
}

void worker_process_start(struct sim *sim, uint64_t life)
{
	struct sim_worker *worker = sim->worker;
	sim_check(sim, !worker->is_alive, "two workers at once");
	inbox_finish(&worker->inbox);
	inbox_init(&worker->inbox);
	worker->is_alive = true;
	worker->is_ready = worker->is_leaving = worker->has_next = false;
	worker->life = life;
	worker->token = 0;
	worker->withheld[0] = '\0';
	worker->told_count = 0;
	worker->stream = (struct sim_stream){0};
	worker->rejections = 0;
	worker->followed[0] = '\0';
	sim->frozen_worker = 0;
}

static bool is_safe(const struct sim *sim, uint64_t ticket)
{
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		const struct truth *truth = &sim->disk.files[i]->truth;
		if (truth->ticket == ticket && truth->is_accepted)
			return true;
	}
	return false;
}

void worker_note_brought(struct sim *sim, uint64_t ticket)
{
	struct sim_worker *worker = sim->worker;
	if (ticket && worker->brought_count < BROUGHT_MAX)
		worker->brought[worker->brought_count++].ticket = ticket;
}

void worker_excuse_last(struct sim *sim)
{
	struct sim_worker *worker = sim->worker;
	for (uint32_t i = worker->brought_count; i > 0; i--) {
		if (worker->brought[i - 1].ticket == worker->answer_ticket)
			worker->brought[i - 1].is_excused = true;
	}
}

static void excuse_brought(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->worker->brought_count; i++) {
		struct brought *brought = &sim->worker->brought[i];
		brought->is_excused = brought->is_excused || !is_safe(sim, brought->ticket);
	}
}

void worker_process_check_end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->worker->brought_count; i++) {
		const struct brought *brought = &sim->worker->brought[i];
		sim_check(sim, brought->is_excused || is_safe(sim, brought->ticket),
			"a command (%u) was brought to a worker that lives, and is lost",
			(unsigned)brought->ticket);
	}
}

void worker_process_kill(struct sim *sim, const char *why)
{
	struct sim_worker *worker = sim->worker;
	if (!worker->is_alive)
		return;
	sim_trace(sim, "worker: ends: %s", why);
	worker->is_alive = false;
	sim->frozen_worker = 0;
	excuse_brought(sim);
	/* What it had told the dashboard and not the disk is told again. */
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct truth *truth = &sim->disk.files[i]->truth;
		if (truth->deliveries > 0 && !truth->is_marked)
			truth->excuses++;
	}
	if (sim->is_websocket)
		worker_session_ended(sim);
	supervisor_worker_ended(sim, worker->life);
}

void worker_say(struct sim *sim, const struct message *message)
{
	int done = message_encode(message, channel_room(sim, TO_SUPERVISOR));
	sim_check(sim, done == 0, "the worker has no room for what it says");
	channel_wrote(sim, TO_SUPERVISOR);
}

static struct sim_request request_of(const struct sim_worker *worker, uint64_t id, uint64_t token)
{
	return (struct sim_request){
		.life = worker->life, .id = id, .token = token == TOKEN_OWN ? worker->token : 0};
}

bool worker_is_poisoned(struct sim *sim, const struct file *file)
{
	if (!file->truth.is_poison || strcmp(sim->worker->withheld, file->name) == 0)
		return false;
	sim->counts.poison_deaths++;
	worker_process_kill(sim, "poison");
	return true;
}

static void report(struct sim *sim, const struct agent_action_status *status)
{
	struct sim_worker *worker = sim->worker;
	struct sim_request request = request_of(worker, status->id, status->token);
	text_copy(status->run, request.run, sizeof(request.run));
	request.kind = ASK_STATUS;
	request.outcome = status->outcome;
	request.code = status->code;
	struct file *file = disk_find(&sim->disk, request.run);
	sim_check(sim, file != NULL, "a report about a run that never was");
	if (worker_is_poisoned(sim, file))
		return;
	dashboard_asked(sim, &request);
}

static void heartbeat(struct sim *sim, const struct agent_action_heartbeat *heartbeat)
{
	struct sim_request request = request_of(sim->worker, heartbeat->id, heartbeat->token);
	request.kind = ASK_REGISTER;
	dashboard_asked(sim, &request);
}

static void progress(struct sim *sim, const struct agent_action_progress *progress)
{
	struct sim_request request = request_of(sim->worker, progress->id, progress->token);
	request.kind = ASK_PROGRESS;
	request.is_running = progress->running;
	dashboard_asked(sim, &request);
}

static bool has_room(struct sim *sim)
{
	return channel_room(sim, TO_SUPERVISOR)->size + TURN_SAYS_BYTES_MAX <=
	       CHANNEL_QUEUE_BYTES_MAX;
}

/* Where nothing is before it, it need not be written down and read again. */
void worker_add(struct sim *sim, const struct agent_event *event)
{
	struct sim_worker *worker = sim->worker;
	if (worker->inbox.count > 0 || worker->has_next || !has_room(sim)) {
		inbox_add(&worker->inbox, event);
		return;
	}
	worker->next = *event;
	worker->has_next = true;
}

static void look(struct sim *sim, uint64_t id)
{
	bool asks = sim_random(sim, 10) == 0;
	worker_add(sim, &(struct agent_event){.type = EVENT_LOOKED,
				.looked = {.id = id,
					.commit = asks ? TEXT_NONE : text_of("abc1234"),
					.ask_commit = asks}});
}

static void hand_over(struct sim *sim, const struct agent_action_run *run)
{
	supervisor_note_ticket(sim, sim->worker->life, run->id, sim->worker->answer_ticket);
	worker_say(sim, &(struct message){.type = MESSAGE_RUN, .run = {run->id, run->command}});
}

static void keep(struct sim *sim)
{
	char token[32];
	snprintf(token, sizeof(token), "token-%u", (unsigned)sim->worker->token);
	worker_say(sim, &(struct message){.type = MESSAGE_TOKEN, .token = {text_of(token)}});
}

static void give_up(struct sim *sim, const struct agent_action_undeliverable *action)
{
	char name[RUN_NAME_BYTES_MAX + 1];
	text_copy(action->run, name, sizeof(name));
	struct file *file = disk_find(&sim->disk, name);
	sim_check(sim, file != NULL, "no such run: %s", name);
	file->truth.is_undeliverable = true;
	worker_say(sim, &(struct message){.type = MESSAGE_UNDELIVERABLE,
				.undeliverable = {action->run, action->reason}});
}

static void delivered(struct sim *sim, struct text run)
{
	char name[RUN_NAME_BYTES_MAX + 1];
	text_copy(run, name, sizeof(name));
	if (sim->is_websocket)
		worker_session_delivered(sim, disk_find(&sim->disk, name));
	worker_say(sim, &(struct message){.type = MESSAGE_DELIVERED, .delivered = {run}});
}

static void perform(struct sim *sim, const struct agent_action *action)
{
	switch (action->type) {
	case ACTION_LOOK: look(sim, action->look.id); break;
	case ACTION_PROBE:
		worker_say(sim, &(struct message){.type = MESSAGE_PROBE,
					.probe = {action->probe.id, action->probe.name}});
		break;
	case ACTION_HEARTBEAT: heartbeat(sim, &action->heartbeat); break;
	case ACTION_STATUS: report(sim, &action->status); break;
	case ACTION_PROGRESS: progress(sim, &action->progress); break;
	case ACTION_RUN: hand_over(sim, &action->run); break;
	case ACTION_KEEP: keep(sim); break;
	case ACTION_DELIVERED: delivered(sim, action->delivered.run); break;
	case ACTION_UNDELIVERABLE: give_up(sim, &action->undeliverable); break;
	case ACTION_OVERFLOW: sim_fail(sim, "the window of owed runs overflows");
	case ACTION_LEAVE: sim->worker->is_leaving = true; break;
	case ACTION_UNKEPT: break;
	case ACTION_HURRY:
	case ACTION_FOLLOW:
	case ACTION_UNFOLLOW:
	case ACTION_CONNECT:
	case ACTION_CLOSE:
	case ACTION_ANNOUNCE:
	case ACTION_BEAT:
	case ACTION_PING:
	case ACTION_REPORT:
	case ACTION_REJECT:
	case ACTION_STAGE:
	case ACTION_TESTS:
	case ACTION_STREAM:
	case ACTION_UNSTREAM:
	case ACTION_LINE:
	case ACTION_SENT:
	case ACTION_CANCEL:
	case ACTION_RESTART:
		if (sim->is_websocket)
			worker_session_perform(sim, action);
		else
			sim_check(sim,
				action->type == ACTION_HURRY || action->type == ACTION_FOLLOW ||
					action->type == ACTION_UNFOLLOW,
				"over HTTP there is no such action");
	}
}

static void trace_turn(struct sim *sim, const struct agent_event *event)
{
	struct sim_worker *worker = sim->worker;
	if (!sim->is_tracing)
		return;
	bytes_clear(&worker->line);
	trace_event(event, &worker->line);
	if (worker->actions.count > 0)
		bytes_append_text(&worker->line, " -> ");
	trace_actions(&worker->actions, &worker->line);
	sim_trace(sim, "worker: %.*s", (int)worker->line.size, (const char *)worker->line.data);
}

static void on_ping(struct sim *sim, uint64_t sequence)
{
	struct message pong = news_pong(&sim->worker->agent, sim_mono(sim), sequence);
	sim->worker->ping = sequence;
	worker_say(sim, &pong);
}

static void turn(struct sim *sim, const struct agent_event *event)
{
	struct sim_worker *worker = sim->worker;
	uint64_t life = worker->life;
	if (sim->is_websocket)
		worker_session_before(sim, event);
	agent_step(&worker->agent, sim_mono(sim), event, &worker->actions);
	worker->due = agent_due(&worker->agent);
	trace_turn(sim, event);
	for (uint32_t i = 0; i < worker->actions.count; i++) {
		if (sim_chance(sim, sim->faults.crash / 2)) {
			sim->counts.crashes++;
			worker_process_kill(sim, "crashed");
		}
		if (!worker->is_alive || worker->life != life)
			return;
		perform(sim, &worker->actions.list[i]);
	}
	if (sim->is_websocket)
		worker_session_after(sim, event);
	worker->answer_ticket = 0;
	if (worker->is_alive && worker->life == life && news_is(&worker->news, &worker->agent))
		on_ping(sim, worker->ping);
	if (worker->is_leaving && worker->is_alive && worker->life == life)
		worker_process_kill(sim, "it leaves");
}

static void on_turns(struct sim *sim, struct sim_timer *timer)
{
	if (sim->worker->is_alive && sim->worker->life == timer->b)
		worker_turns(sim);
}

/* A turn begins only where what it may say has room. */
void worker_turns(struct sim *sim)
{
	struct sim_worker *worker = sim->worker;
	uint64_t life = worker->life;
	struct agent_event event;
	struct text payload;
	while (worker->is_alive && worker->life == life &&
		(worker->has_next || worker->inbox.count > 0)) {
		if (!has_room(sim)) {
			sim_after(sim, 10 * NS_PER_MS,
				(struct sim_timer){.fire = on_turns, .b = life});
			return;
		}
		if (worker->has_next)
			event = worker->next;
		else
			inbox_take(&worker->inbox, &event, &payload);
		worker->has_next = false;
		turn(sim, &event);
	}
}

void worker_take(struct sim *sim, const struct agent_event *event)
{
	worker_add(sim, event);
	worker_turns(sim);
}

uint64_t worker_process_next(struct sim *sim)
{
	struct sim_worker *worker = sim->worker;
	if (!worker->is_alive || !worker->is_ready || worker->has_next || worker->inbox.count > 0)
		return UINT64_MAX;
	return sim_world_time(sim, worker->due);
}

void worker_process_due(struct sim *sim)
{
	worker_take(sim, &(struct agent_event){.type = EVENT_DUE});
}

static void on_hello(struct sim *sim, const struct message_hello *hello)
{
	struct sim_worker *worker = sim->worker;
	char token[32];
	const struct agent_limits limits = {.protocol = hello->protocol,
		.interval_ms = hello->interval_ms,
		.spread_ms = hello->spread_ms,
		.seed = hello->seed,
		.has_own_token = hello->own_token.size > 0,
		.has_shared_token = hello->shared_token.size > 0};
	text_copy(hello->own_token, token, sizeof(token));
	worker->token = *token ? strtoull(token + strlen("token-"), NULL, 10) : 0;
	agent_init(&worker->agent, &limits);
	news_init(&worker->news);
	worker->ping = 0;
	worker->due = agent_due(&worker->agent);
	worker->is_ready = true;
	worker_say(sim, &(struct message){.type = MESSAGE_READY, .ready = {hello->epoch}});
}

static void on_probed(struct sim *sim, const struct message_probed *probed)
{
	worker_take(sim, &(struct agent_event){.type = EVENT_PROBED,
				 .probed = {.id = probed->request,
					 .good = true,
					 .value = text_of(sim->is_websocket ? "0" : "abc1234"),
					 .wall_ms = wall_ms(sim_wall(sim))}});
}

static void on_message(struct sim *sim, const struct message *message)
{
	struct sim_worker *worker = sim->worker;
	struct agent_event event;
	if (message->type == MESSAGE_HELLO) {
		on_hello(sim, &message->hello);
	} else if (message->type == MESSAGE_PING) {
		on_ping(sim, message->ping.sequence);
	} else if (message->type == MESSAGE_PROBED) {
		on_probed(sim, &message->probed);
	} else {
		sim_check(sim, heard_event(message, sim_wall(sim), &event),
			"the supervisor said what is not its to say");
		if (message->type == MESSAGE_ENDED && message->ended.withheld)
			text_copy(message->ended.run, worker->withheld, sizeof(worker->withheld));
		worker_take(sim, &event);
	}
}

void worker_process_hears(struct sim *sim, uint64_t life, struct text payload)
{
	struct message message;
	if (!sim->worker->is_alive || sim->worker->life != life)
		return;
	sim_check(sim, message_decode(payload, &message) == SCHEMA_GOOD,
		"the supervisor's message is malformed");
	sim_check(sim,
		sim->worker->is_ready || message.type == MESSAGE_HELLO ||
			message.type == MESSAGE_STOP,
		"the supervisor says %s before hello", message_name(message.type));
	if (!sim->worker->is_ready && message.type == MESSAGE_STOP) {
		worker_process_kill(sim, "it leaves");
		return;
	}
	on_message(sim, &message);
	worker_turns(sim);
}

void worker_process_answered(struct sim *sim, const struct sim_reply *reply)
{
	struct sim_worker *worker = sim->worker;
	enum answer_result result = ANSWER_NONE;
	if (!worker->is_alive || worker->life != reply->life)
		return;
	if (reply->code >= 200 && reply->code < 300)
		result = reply->is_garbage ? ANSWER_GARBAGE : ANSWER_GOOD;
	else if (reply->code > 0)
		result = ANSWER_CODE;
	if (reply->token)
		worker->token = reply->token;
	worker->answer_ticket = reply->ticket;
	worker_note_brought(sim, reply->ticket);
	worker_take(sim, &(struct agent_event){.type = EVENT_ANSWER,
				 .answer = {.id = reply->id,
					 .result = result,
					 .code = reply->code,
					 .command = text_of(reply->command),
					 .token = reply->token != 0,
					 .retry_after_ms = reply->retry_after_ms,
					 .reason = text_of("simulated")}});
}

bool worker_process_is_content(const struct sim *sim)
{
	const struct sim_worker *worker = sim->worker;
	return worker->is_alive && worker->is_ready && agent_link(&worker->agent) == LINK_UP &&
	       handover_is_empty(&worker->agent.handover);
}
