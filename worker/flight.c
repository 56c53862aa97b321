/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/flight.h"

#include <errno.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/crc32.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/frame.h"

#define SCHEMA_DEF    "worker/flight.def"
#define SCHEMA_PREFIX flight
#include "proto/schema_functions.h"

#define FLIGHT_STATE_PIECE 8192
/* A turn takes at most this: an event, the digests, heads. */
#define FLIGHT_TURN_BYTES_MAX (8192 + 5 * AGENT_ACTIONS_MAX + 64)
#define FLIGHT_END_BYTES      FRAME_HEAD_BYTES

static_assert(FLIGHT_HALF_BYTES > 4 * (FLIGHT_TURN_BYTES_MAX + sizeof(struct agent)),
	"a half holds the state and many turns");

/* Writes what is in frame, and the zeros that end a recording where older bytes follow. */
static void write_out(struct flight_recorder *flight)
{
	static const uint8_t end[FLIGHT_END_BYTES];
	uint32_t size = flight->frame.size;
	off_t at = (off_t)flight->half * FLIGHT_HALF_BYTES + flight->at;
	check(flight->at + size + FLIGHT_END_BYTES <= FLIGHT_HALF_BYTES);
	if (bytes_append(&flight->frame, end, sizeof(end)) < 0 ||
		fd_write_at(flight->fd, flight->frame.data, flight->frame.size, at) < 0) {
		log_warn("the flight recorder stopped: %s", strerror(errno));
		flight->fd = -1;
	}
	flight->at += size;
	bytes_clear(&flight->frame);
}

static void add(struct flight_recorder *flight, const struct flight *value)
{
	if (flight->fd < 0)
		return;
	if (flight_encode(value, &flight->frame) == 0) {
		write_out(flight);
		return;
	}
	log_warn("the flight recorder stopped: %s", strerror(errno));
	flight->fd = -1;
}

static void begin_half(struct flight_recorder *flight, uint32_t half, struct wall wall)
{
	flight->half = half;
	flight->at = 0;
	add(flight, &(struct flight){.type = FLIGHT_HEAD,
			    .head = {.format = FLIGHT_FORMAT,
				    .order = ++flight->order,
				    .state_bytes = sizeof(struct agent),
				    .wall_ms = wall_ms(wall),
				    .version = text_of(NIXFLEET_VERSION)}});
}

void flight_init(
	struct flight_recorder *flight, int fd, struct wall now, const struct agent_limits *limits)
{
	*flight = (struct flight_recorder){.fd = fd};
	bytes_init(&flight->frame, FLIGHT_HALF_BYTES);
	bytes_init(&flight->event, FRAME_BYTES_MAX);
	/* What a worker before this one left in the other half is not part of this recording. */
	flight->half = 1;
	if (fd >= 0)
		write_out(flight);
	begin_half(flight, 0, now);
	add(flight, &(struct flight){.type = FLIGHT_LIMITS,
			    .limits = {.protocol = limits->protocol,
				    .interval_ms = limits->interval_ms,
				    .spread_ms = limits->spread_ms,
				    .seed = limits->seed,
				    .has_own_token = limits->has_own_token,
				    .has_shared_token = limits->has_shared_token,
				    .paused = limits->paused}});
}

void flight_finish(struct flight_recorder *flight)
{
	bytes_finish(&flight->frame);
	bytes_finish(&flight->event);
}

static void add_state(struct flight_recorder *flight, const struct agent *agent)
{
	for (uint32_t at = 0; at < sizeof(*agent); at += FLIGHT_STATE_PIECE) {
		uint32_t left = (uint32_t)sizeof(*agent) - at;
		uint32_t size = left < FLIGHT_STATE_PIECE ? left : FLIGHT_STATE_PIECE;
		add(flight, &(struct flight){.type = FLIGHT_STATE,
				    .state = {at, {(const char *)agent + at, size}}});
	}
}

void flight_event(struct flight_recorder *flight, struct mono now, struct wall wall,
	const struct agent *agent, struct text event)
{
	if (flight->fd < 0)
		return;
	if (flight->at + FLIGHT_TURN_BYTES_MAX + FLIGHT_END_BYTES > FLIGHT_HALF_BYTES) {
		begin_half(flight, 1 - flight->half, wall);
		add_state(flight, agent);
	}
	flight->now = now;
	bytes_clear(&flight->event);
	if (bytes_append(&flight->event, event.data, event.size) < 0)
		flight->fd = -1;
}

int flight_digest(const struct actions *actions, struct bytes *to)
{
	struct bytes frame;
	int done = 0;
	bytes_init(&frame, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	for (uint32_t i = 0; i < actions->count && done == 0; i++) {
		bytes_clear(&frame);
		done = agent_action_encode(&actions->list[i], &frame);
		uint32_t sum = done == 0 ? crc32_update(0, frame.data, frame.size) : 0;
		const uint8_t digest[FLIGHT_DIGEST_BYTES] = {(uint8_t)actions->list[i].type,
			(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
			(uint8_t)sum};
		if (done == 0)
			done = bytes_append(to, digest, sizeof(digest));
	}
	bytes_finish(&frame);
	return done;
}

void flight_actions(struct flight_recorder *flight, const struct actions *actions)
{
	struct bytes digests;
	if (flight->fd < 0)
		return;
	bytes_init(&digests, FLIGHT_DIGEST_BYTES * AGENT_ACTIONS_MAX);
	if (flight_digest(actions, &digests) < 0)
		log_warn("the flight recorder leaves an event out: %s", strerror(errno));
	else
		add(flight, &(struct flight){.type = FLIGHT_TURN,
				    .turn = {flight->now.ns,
					    {(const char *)flight->event.data, flight->event.size},
					    {(const char *)digests.data, digests.size}}});
	bytes_finish(&digests);
}
