/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/frame.h"
#include "worker/flight.h"
#include "worker/trace.h"

enum replay_state {
	REPLAY_NOTHING, /* no core yet */
	REPLAY_LOADING, /* pieces of a recorded state */
	REPLAY_RUNNING,
	REPLAY_STOPPED, /* something differs */
};

struct replay {
	enum replay_state state;
	bool print;
	bool has_agent;
	uint32_t loaded;
	uint64_t state_bytes; /* of the build that recorded */
	uint64_t events;
	uint64_t actions;
	struct mono first;
	struct agent agent;
	uint8_t recorded[sizeof(struct agent)];
};

static const char *type_name(uint8_t type)
{
	const struct schema_type *found = schema_find(agent_action_schema(), type);
	return found ? found->name : "nothing";
}

static void print_turn(const struct replay *replay, struct mono now,
	const struct agent_event *event, const struct actions *actions)
{
	struct bytes line;
	bytes_init(&line, 2 * FRAME_BYTES_MAX);
	trace_event(event, &line);
	if (actions->count > 0)
		bytes_append_text(&line, " -> ");
	trace_actions(actions, &line);
	printf("[%10" PRIu64 "] %.*s\n", mono_ms_since(now, replay->first), (int)line.size,
		(const char *)line.data);
	bytes_finish(&line);
}

/* Says which action is the first that is not as recorded. */
static bool compare(struct replay *replay, const struct actions *actions, struct text recorded)
{
	struct bytes digests;
	bytes_init(&digests, FLIGHT_DIGEST_BYTES * AGENT_ACTIONS_MAX);
	check(flight_digest(actions, &digests) == 0);
	uint32_t most = digests.size > recorded.size ? digests.size : recorded.size;
	bool is_same = true;
	for (uint32_t at = 0; at < most && is_same; at += FLIGHT_DIGEST_BYTES) {
		bool is_here = at + FLIGHT_DIGEST_BYTES <= digests.size;
		bool was_there = at + FLIGHT_DIGEST_BYTES <= recorded.size;
		is_same = is_here && was_there &&
			  memcmp(digests.data + at, recorded.data + at, FLIGHT_DIGEST_BYTES) == 0;
		if (!is_same)
			printf("differs at event %" PRIu64 ", action %u: recorded %s, now %s\n",
				replay->events, at / FLIGHT_DIGEST_BYTES + 1,
				was_there ? type_name((uint8_t)recorded.data[at]) : "nothing",
				is_here ? type_name(digests.data[at]) : "nothing");
	}
	bytes_finish(&digests);
	return is_same;
}

static void turn(struct replay *replay, const struct flight_turn *turn)
{
	struct agent_event event;
	struct actions actions;
	struct mono now = {turn->now_ns};
	if (agent_event_decode(turn->event, &event) != SCHEMA_GOOD) {
		printf("event %" PRIu64 " is of another version or damaged\n", replay->events + 1);
		replay->state = REPLAY_STOPPED;
		return;
	}
	if (replay->events++ == 0)
		replay->first = now;
	agent_step(&replay->agent, now, &event, &actions);
	replay->actions += actions.count;
	if (replay->print)
		print_turn(replay, now, &event, &actions);
	if (compare(replay, &actions, turn->digests))
		return;
	if (!replay->print)
		print_turn(replay, now, &event, &actions);
	replay->state = REPLAY_STOPPED;
}

static void begin(struct replay *replay, const struct flight_limits *recorded)
{
	const struct agent_limits limits = {recorded->protocol, recorded->interval_ms,
		recorded->spread_ms, recorded->seed, recorded->has_own_token,
		recorded->has_shared_token, recorded->paused};
	if (limits.interval_ms == 0) {
		printf("the recording's limits are not legal\n");
		replay->state = REPLAY_STOPPED;
		return;
	}
	agent_init(&replay->agent, &limits);
	replay->has_agent = true;
	replay->state = REPLAY_RUNNING;
}

static void load(struct replay *replay, const struct flight_state *piece)
{
	if (replay->state != REPLAY_LOADING || replay->state_bytes != sizeof(replay->agent) ||
		piece->offset != replay->loaded ||
		piece->bytes.size > sizeof(replay->agent) - replay->loaded) {
		printf("a piece of the recorded state is missing or of another build\n");
		replay->state = REPLAY_STOPPED;
		return;
	}
	memcpy(replay->recorded + replay->loaded, piece->bytes.data, piece->bytes.size);
	replay->loaded += piece->bytes.size;
	if (replay->loaded < sizeof(replay->agent))
		return;
	/* After the other half the core goes on from there: what it decided differently without an
	 * action would be hidden by the recorded state. */
	if (!replay->has_agent)
		memcpy(&replay->agent, replay->recorded, sizeof(replay->agent));
	replay->has_agent = true;
	replay->state = REPLAY_RUNNING;
}

static void head(struct replay *replay, const struct flight_head *head)
{
	if (head->format != FLIGHT_FORMAT) {
		printf("the recording has format %" PRIu64 ", this program knows %d\n",
			head->format, FLIGHT_FORMAT);
		replay->state = REPLAY_STOPPED;
		return;
	}
	replay->state = REPLAY_LOADING;
	replay->loaded = 0;
	replay->state_bytes = head->state_bytes;
	if (replay->print)
		printf("recorded by version %.*s\n", TEXT_ARGS(head->version));
}

static void frame(struct replay *replay, const struct flight *value)
{
	bool is_known = replay->state == REPLAY_RUNNING;
	switch (value->type) {
	case FLIGHT_HEAD: head(replay, &value->head); return;
	case FLIGHT_LIMITS: begin(replay, &value->limits); return;
	case FLIGHT_STATE: load(replay, &value->state); return;
	case FLIGHT_TURN: break;
	}
	if (is_known) {
		turn(replay, &value->turn);
		return;
	}
	printf("an event stands before the state it needs\n");
	replay->state = REPLAY_STOPPED;
}

static void half(struct replay *replay, struct text data)
{
	struct frame next;
	struct flight value;
	while (replay->state != REPLAY_STOPPED) {
		enum frame_verdict verdict = frame_parse(data.data, data.size, &next);
		if (verdict == FRAME_END ||
			(verdict == FRAME_SHORT && data.size < FRAME_HEAD_BYTES))
			return;
		if (verdict != FRAME_WHOLE || flight_decode(next.payload, &value) != SCHEMA_GOOD) {
			printf("after event %" PRIu64 " the recording is damaged\n",
				replay->events);
			replay->state = REPLAY_STOPPED;
			return;
		}
		frame(replay, &value);
		data.data += next.bytes;
		data.size -= next.bytes;
	}
}

/* The order of a half; 0 where it holds no recording. */
static uint64_t order_of(struct text data)
{
	struct frame next;
	struct flight value;
	if (frame_parse(data.data, data.size, &next) != FRAME_WHOLE ||
		flight_decode(next.payload, &value) != SCHEMA_GOOD || value.type != FLIGHT_HEAD)
		return 0;
	return value.head.order;
}

static int replay_all(struct replay *replay, struct text data)
{
	struct text halves[2] = {data, TEXT_NONE};
	if (data.size > FLIGHT_HALF_BYTES) {
		halves[0].size = FLIGHT_HALF_BYTES;
		halves[1] = (struct text){
			data.data + FLIGHT_HALF_BYTES, data.size - FLIGHT_HALF_BYTES};
	}
	uint64_t orders[2] = {order_of(halves[0]), order_of(halves[1])};
	if (orders[0] == 0 && orders[1] == 0) {
		fprintf(stderr, "nixfleet-worker: this is no recording\n");
		return 1;
	}
	int first = orders[1] != 0 && (orders[0] == 0 || orders[1] < orders[0]);
	half(replay, halves[first]);
	if (orders[1 - first] != 0)
		half(replay, halves[1 - first]);
	if (replay->state == REPLAY_STOPPED)
		return 1;
	printf("%" PRIu64 " events, %" PRIu64 " actions: identical\n", replay->events,
		replay->actions);
	return 0;
}

int replay_file(const char *path, bool print)
{
	int code = 1;
	uint8_t *data = malloc(FLIGHT_BYTES);
	struct replay *replay = calloc(1, sizeof(*replay));
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 && data && replay ? fd_read_all(fd, data, FLIGHT_BYTES) : -1;
	if (size < 0)
		fprintf(stderr, "nixfleet-worker: cannot read %s: %s\n", path, strerror(errno));
	else {
		replay->print = print;
		code = replay_all(replay, (struct text){(char *)data, (uint32_t)size});
	}
	free(replay);
	free(data);
	return code;
}
