/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the worker's shell does for a WebSocket dashboard: worker/shell_session.c and streamer.c. */
#include <string.h>

#include "tests/sim/worker.h"

/* As in worker/streamer.h. */
#define BACKLOG_BYTES (1024 * 1024)
#define NEWEST_BYTES  (256 * 1024)
#define SOON_NS       (NS_PER_MS / 10)
#define LOOK_NS       (RECORD_LOOK_MS * NS_PER_MS)
#define STAGES        3
#define STAGE_NS      (20 * NS_PER_S)

static void add(struct sim *sim, struct agent_event event)
{
	inbox_add(&sim->worker->inbox, &event);
}

static struct file *file_of(struct sim *sim, const char *run)
{
	struct file *file = disk_find(&sim->disk, run);
	sim_check(sim, file != NULL, "there never was such a run: %s", run);
	return file;
}

/* ---- output ---- */

static void on_stream(struct sim *sim, struct sim_timer *timer);

static void stream_in(struct sim *sim, uint64_t ns)
{
	struct sim_stream *stream = &sim->worker->stream;
	sim_after(sim, ns,
		(struct sim_timer){.fire = on_stream, .a = ++stream->turn, .b = sim->worker->life});
}

static void send_output(struct sim *sim, enum wire_frame_kind kind, uint64_t to)
{
	struct sim_stream *stream = &sim->worker->stream;
	struct wire_frame frame = {.kind = kind, .from = stream->offset, .to = to};
	memcpy(frame.run, stream->run, sizeof(frame.run));
	wire_say(sim, &frame);
	stream->offset = to;
}

/* When there is more of it; UINT64_MAX: nothing tells. */
static uint64_t grows_at(const struct sim *sim, const struct truth *truth)
{
	if (truth->output_gap == 0 || truth->output_until < sim->now)
		return UINT64_MAX;
	uint64_t bursts = (sim->now - truth->output_from) / truth->output_gap;
	return truth->output_from + (bursts + 1) * truth->output_gap;
}

/* Once between two pings. */
static void note_output(struct sim *sim)
{
	struct sim_stream *stream = &sim->worker->stream;
	if (stream->is_noted)
		return;
	stream->is_noted = true;
	add(sim, (struct agent_event){.type = EVENT_OUTPUT, .output = {text_of(stream->run)}});
}

static void work(struct sim *sim)
{
	struct sim_stream *stream = &sim->worker->stream;
	struct file *file = file_of(sim, stream->run);
	uint64_t size = truth_output(sim, &file->truth);
	if (!wire_has_room(sim)) {
		stream_in(sim, LOOK_NS);
		return;
	}
	if (stream->is_ended && size > 0 && worker_is_poisoned(sim, file))
		return;
	if (size > stream->offset) {
		send_output(sim, FRAME_OUTPUT, size);
		note_output(sim);
	}
	uint64_t next = grows_at(sim, &file->truth);
	if (!stream->is_ended && next != UINT64_MAX)
		stream_in(sim, next - sim->now);
	if (stream->is_ended && !stream->is_told) {
		stream->is_told = true;
		add(sim, (struct agent_event){
				 .type = EVENT_STREAMED, .streamed = {text_of(stream->run)}});
	}
	worker_turns(sim);
}

static void on_stream(struct sim *sim, struct sim_timer *timer)
{
	const struct sim_worker *worker = sim->worker;
	if (!worker->is_alive || worker->life != timer->b || !worker->stream.is_on ||
		worker->stream.turn != timer->a)
		return;
	if (sim->frozen_worker > sim->now)
		sim_after(sim, sim->frozen_worker - sim->now, *timer);
	else
		work(sim);
}

static void start_stream(struct sim *sim, const struct agent_action_stream *action)
{
	struct sim_worker *worker = sim->worker;
	struct sim_stream *stream = &worker->stream;
	bool is_same = stream->is_on && text_is(action->run, stream->run);
	if (text_is(action->run, worker->withheld)) {
		file_of(sim, worker->withheld)->truth.is_withheld = true;
		if (action->ended)
			add(sim, (struct agent_event){
					 .type = EVENT_STREAMED, .streamed = {action->run}});
		return;
	}
	stream->is_ended = action->ended;
	stream_in(sim, SOON_NS);
	if (is_same)
		return;
	stream->is_on = true;
	stream->is_told = stream->is_noted = false;
	stream->offset = action->offset;
	text_copy(action->run, stream->run, sizeof(stream->run));
	uint64_t size = truth_output(sim, &file_of(sim, stream->run)->truth);
	if (size >= stream->offset + BACKLOG_BYTES)
		send_output(sim, FRAME_LEFT_OUT, size - NEWEST_BYTES);
}

static void stop_stream(struct sim *sim)
{
	struct sim_stream *stream = &sim->worker->stream;
	if (!stream->is_on)
		return;
	uint64_t size = truth_output(sim, &file_of(sim, stream->run)->truth);
	if (stream->is_ended && !stream->is_told && size > stream->offset)
		send_output(sim, FRAME_LEFT_OUT, size);
	stream->is_on = false;
}

/* ---- the record of the run that goes on ---- */

static void on_progress(struct sim *sim, struct sim_timer *timer)
{
	static const char *const stages[STAGES] = {"evaluate", "build", "activate"};
	struct sim_worker *worker = sim->worker;
	if (!worker->is_alive || worker->life != timer->b || !worker->followed[0] ||
		worker->progress >= STAGES)
		return;
	if (sim->frozen_worker > sim->now) {
		sim_after(sim, sim->frozen_worker - sim->now, *timer);
		return;
	}
	uint64_t current = worker->progress++;
	add(sim, (struct agent_event){.type = EVENT_PROGRESSED,
			 .progressed = {.run = text_of(worker->followed),
				 .current = current,
				 .total = STAGES,
				 .passed = current,
				 .stage = text_of(stages[current])}});
	sim_after(sim, sim_random(sim, STAGE_NS), *timer);
	worker_turns(sim);
}

static void follow(struct sim *sim, struct text run)
{
	struct sim_worker *worker = sim->worker;
	text_copy(run, worker->followed, sizeof(worker->followed));
	worker->progress = 0;
	sim_after(sim, sim_random(sim, STAGE_NS),
		(struct sim_timer){.fire = on_progress, .b = worker->life});
}

/* ---- what it says ---- */

static void beat(struct sim *sim, const struct agent_action_beat *action)
{
	struct wire_frame frame = {.kind = FRAME_BEAT,
		.compartments = {(uint8_t)action->git_status, (uint8_t)action->lock_status,
			(uint8_t)action->system_status, (uint8_t)action->tests_status}};
	wire_say(sim, &frame);
}

static void ping(struct sim *sim, uint64_t sequence)
{
	struct sim_worker *worker = sim->worker;
	if (!wire_is_open(sim))
		return;
	for (uint32_t i = 0; i < worker->unproven_count; i++) {
		struct truth *truth = &worker->unproven[i]->truth;
		truth->proof = truth->proof ? truth->proof : sequence;
	}
	worker->stream.is_noted = false;
	wire_say(sim, &(struct wire_frame){.kind = FRAME_PING, .sequence = sequence});
	worker_add(sim,
		&(struct agent_event){.type = EVENT_PINGED,
			.pinged = {sequence, worker->stream.is_on ? worker->stream.offset : 0}});
}

static void check_may_tell(struct sim *sim, const struct file *file)
{
	const struct truth *truth = &file->truth;
	sim_check(sim, !truth_is_known_told(sim, truth),
		"%s is told though the record says that it was delivered", file->name);
	sim_check(sim, truth->sent_life != sim->worker->life || !truth->is_proven,
		"%s is told again though the pong came", file->name);
}

static void report(struct sim *sim, const struct agent_action_report *action)
{
	struct sim_worker *worker = sim->worker;
	struct wire_frame frame = {
		.kind = FRAME_STATUS, .outcome = action->outcome, .code = action->code};
	text_copy(action->run, frame.run, sizeof(frame.run));
	text_copy(action->command, frame.command, sizeof(frame.command));
	if (!frame.run[0] && action->outcome == OUTCOME_REFUSED)
		worker_excuse_last(sim);
	if (frame.run[0] && wire_is_open(sim)) {
		struct file *file = file_of(sim, frame.run);
		struct truth *truth = &file->truth;
		check_may_tell(sim, file);
		truth->sends++;
		truth->sent_life = worker->life;
		truth->sent_wire = sim->wires.last;
		truth->proof = 0;
		truth->is_proven = false;
		sim_check(sim, worker->unproven_count < AGENT_RUNS_MAX, "too many statuses");
		worker->unproven[worker->unproven_count++] = file;
	}
	wire_say(sim, &frame);
}

static void reject(struct sim *sim, const struct agent_action_reject *action)
{
	struct wire_frame frame = {.kind = FRAME_REJECTED};
	text_copy(action->command, frame.command, sizeof(frame.command));
	sim->worker->rejections++;
	wire_say(sim, &frame);
}

static void say_progress(struct sim *sim, uint64_t current, uint64_t total)
{
	wire_say(sim,
		&(struct wire_frame){.kind = FRAME_PROGRESS, .sequence = current, .total = total});
}

static void say_line(struct sim *sim, const struct agent_action_line *action)
{
	struct wire_frame frame = {.kind = FRAME_LINE};
	text_copy(action->command, frame.command, sizeof(frame.command));
	wire_say(sim, &frame);
}

static void close_wire(struct sim *sim, uint64_t id)
{
	if (wire_last(sim)->id != id || wire_last(sim)->state == WIRE_GONE)
		return;
	wire_close(sim);
	worker_wire_closed(sim, sim->worker->life, &(struct wire_end){.id = id});
}

void worker_session_perform(struct sim *sim, const struct agent_action *action)
{
	switch ((int)action->type) {
	case ACTION_CONNECT: wire_open(sim, sim->worker->life, action->connect.id); break;
	case ACTION_HURRY:
		if (wire_last(sim)->state == WIRE_CONNECTING)
			close_wire(sim, action->hurry.id);
		break;
	case ACTION_CLOSE: close_wire(sim, action->close.id); break;
	case ACTION_ANNOUNCE: wire_say(sim, &(struct wire_frame){.kind = FRAME_REGISTER}); break;
	case ACTION_BEAT: beat(sim, &action->beat); break;
	case ACTION_PING: ping(sim, action->ping.sequence); break;
	case ACTION_REPORT: report(sim, &action->report); break;
	case ACTION_REJECT: reject(sim, &action->reject); break;
	case ACTION_STAGE: say_progress(sim, action->stage.current, action->stage.total); break;
	case ACTION_TESTS: say_progress(sim, action->tests.current, action->tests.total); break;
	case ACTION_STREAM: start_stream(sim, &action->stream); break;
	case ACTION_UNSTREAM: stop_stream(sim); break;
	case ACTION_LINE: say_line(sim, &action->line); break;
	case ACTION_FOLLOW: follow(sim, action->follow.run); break;
	case ACTION_UNFOLLOW: sim->worker->followed[0] = '\0'; break;
	case ACTION_SENT:
		worker_say(sim, &(struct message){.type = MESSAGE_SENT,
					.sent = {action->sent.run, action->sent.offset}});
		break;
	case ACTION_CANCEL:
		worker_say(sim, &(struct message){.type = MESSAGE_CANCEL,
					.cancel = {TEXT_NONE, action->cancel.hard}});
		break;
	case ACTION_RESTART:
		worker_say(sim, &(struct message){
					.type = MESSAGE_LEAVE, .leave = {action->restart.reason}});
		break;
	default: sim_fail(sim, "an action that nobody performs");
	}
}

/* ---- what it learns ---- */

static void note_pong(struct sim *sim, uint64_t sequence)
{
	struct sim_worker *worker = sim->worker;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < worker->unproven_count; i++) {
		struct file *file = worker->unproven[i];
		struct truth *truth = &file->truth;
		if (truth->proof && truth->proof <= sequence)
			truth->is_proven = true;
		else
			worker->unproven[kept++] = file;
	}
	worker->unproven_count = kept;
}

static uint64_t take_told(struct sim_worker *worker)
{
	uint64_t ticket = worker->told[worker->told_first];
	worker->told_first = (worker->told_first + 1) % SIM_TOLD_MAX;
	worker->told_count--;
	return ticket;
}

void worker_session_before(struct sim *sim, const struct agent_event *event)
{
	if (event->type == EVENT_PONG)
		note_pong(sim, event->pong.sequence);
	if (event->type == EVENT_TOLD)
		sim->worker->answer_ticket = take_told(sim->worker);
	if (event->type == EVENT_KILL ||
		(event->type == EVENT_TOLD && sim->worker->answer_ticket == 0))
		session_note_kill(sim);
	else if (event->type == EVENT_TOLD)
		session_note_told(sim, sim->worker->answer_ticket);
}

static bool is_switch(struct sim *sim, struct text run)
{
	char name[RUN_NAME_BYTES_MAX + 1];
	text_copy(run, name, sizeof(name));
	return file_is_good_switch(file_of(sim, name));
}

/* The pong that proves a good switch makes the agent leave; nothing else does. */
void worker_session_after(struct sim *sim, const struct agent_event *event)
{
	const struct actions *actions = &sim->worker->actions;
	bool is_switched = false, restarts = false;
	for (uint32_t i = 0; i < actions->count; i++) {
		const struct agent_action *action = &actions->list[i];
		restarts |= action->type == ACTION_RESTART;
		is_switched |= event->type == EVENT_PONG && action->type == ACTION_DELIVERED &&
			       is_switch(sim, action->delivered.run);
	}
	sim_check(sim, restarts == is_switched,
		"a switch was delivered and the agent does not leave, or leaves for nothing");
}

void worker_session_delivered(struct sim *sim, struct file *file)
{
	struct sim_worker *worker = sim->worker;
	struct truth *truth = &file->truth;
	if (truth->sent_life == worker->life && truth->sent_wire == sim->wires.last) {
		sim_check(
			sim, truth->is_proven, "%s is called delivered without a pong", file->name);
		return;
	}
	if (truth->deliveries > 0)
		return;
	sim_check(sim, truth->is_refused && worker->rejections > 0,
		"%s is called delivered and was not told", file->name);
	worker->rejections--;
	truth->deliveries++;
	truth->told_outcome = OUTCOME_REFUSED;
	truth->told_code = REFUSAL_BUSY;
}

void worker_session_ended(struct sim *sim)
{
	sim->worker->unproven_count = 0;
	wire_close(sim);
}

bool worker_wire_can_hear(const struct sim *sim, uint64_t life)
{
	const struct sim_worker *worker = sim->worker;
	return !worker->is_alive || worker->life != life ||
	       (inbox_has_room(&worker->inbox) && worker->told_count < SIM_TOLD_MAX);
}

static bool is_there(const struct sim *sim, uint64_t life)
{
	return sim->worker->is_alive && sim->worker->life == life;
}

void worker_wire_connected(struct sim *sim, uint64_t life, uint64_t id)
{
	if (!is_there(sim, life))
		return;
	add(sim, (struct agent_event){.type = EVENT_CONNECTED, .connected = {id}});
	worker_turns(sim);
}

static void on_closed(struct sim *sim, struct sim_timer *timer)
{
	if (is_there(sim, timer->b))
		worker_turns(sim);
}

/* Called in a turn, too: the event comes in one of its own. */
void worker_wire_closed(struct sim *sim, uint64_t life, const struct wire_end *end)
{
	if (!is_there(sim, life))
		return;
	sim->worker->unproven_count = 0;
	add(sim, (struct agent_event){.type = EVENT_CLOSED,
			 .closed = {.id = end->id,
				 .code = end->code,
				 .close_code = end->close_code,
				 .retry_after_ms = end->retry_after_ms,
				 .reason = text_of("simulated")}});
	sim_after(sim, SOON_NS, (struct sim_timer){.fire = on_closed, .b = life});
}

static void hear_command(struct sim *sim, const struct wire_frame *frame)
{
	struct sim_worker *worker = sim->worker;
	worker->told[(worker->told_first + worker->told_count++) % SIM_TOLD_MAX] = frame->ticket;
	worker_note_brought(sim, frame->ticket);
	add(sim, (struct agent_event){.type = EVENT_TOLD, .told = {text_of(frame->command)}});
}

void worker_wire_heard(struct sim *sim, uint64_t life, const struct wire_frame *frame)
{
	if (!is_there(sim, life))
		return;
	switch ((int)frame->kind) {
	case FRAME_REGISTERED:
		add(sim, (struct agent_event){
				 .type = EVENT_REGISTERED, .registered = {text_of("h")}});
		break;
	case FRAME_COMMAND: hear_command(sim, frame); break;
	case FRAME_KILL:
		add(sim, (struct agent_event){.type = EVENT_KILL, .kill = {frame->is_hard}});
		break;
	case FRAME_PONG:
		worker_take(
			sim, &(struct agent_event){.type = EVENT_PONG, .pong = {frame->sequence}});
		return;
	default: sim_fail(sim, "the dashboard says what is not its to say");
	}
	worker_turns(sim);
}
