/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/frame.h"
#include "worker/flight.h"
#include "worker/inbox.h"
#include "worker/replay.h"

static char path[] = "/tmp/nixfleet-flight-XXXXXX";
static int fd = -1;
static struct agent agent;
static struct flight_recorder flight;
static struct inbox inbox;
static const struct agent_limits limits = {.protocol = PROTOCOL_HTTP,
	.interval_ms = 1000,
	.spread_ms = 5000,
	.seed = 7,
	.has_own_token = true};

static void make(void)
{
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, ftruncate(fd, FLIGHT_BYTES), 0));
	/* What a replay says would stand between the lines of the test's own report. */
	cr_assert(ne(ptr, freopen("/dev/null", "we", stdout), NULL));
	inbox_init(&inbox);
	agent_init(&agent, &limits);
	flight_init(&flight, fd, (struct wall){0}, &limits);
}

static void finish(void)
{
	flight_finish(&flight);
	inbox_finish(&inbox);
	close(fd);
	unlink(path);
}

TestSuite(flight, .init = make, .fini = finish);

/* One event through inbox, recorder and core, as the shell does it. */
static void turn(uint64_t ms, const struct agent_event *event, struct actions *actions)
{
	struct agent_event taken;
	struct text payload;
	inbox_add(&inbox, event);
	inbox_take(&inbox, &taken, &payload);
	flight_event(&flight, (struct mono){ms * NS_PER_MS}, (struct wall){0}, &agent, payload);
	agent_step(&agent, (struct mono){ms * NS_PER_MS}, &taken, actions);
	flight_actions(&flight, actions);
}

/* The host and the dashboard answer; some heartbeats find nobody. */
static void respond(uint64_t ms, struct actions *actions)
{
	while (actions->count > 0) {
		struct agent_action action = actions->list[0];
		struct agent_event event = {.type = EVENT_LOOKED,
			.looked = {action.look.id,
				text_of("71789be985f56d4cb26b34c576e2b5ff3fa36160")}};
		if (action.type == ACTION_HEARTBEAT)
			event = (struct agent_event){.type = EVENT_ANSWER,
				.answer = {.id = action.heartbeat.id,
					.result = ms % 7 ? ANSWER_GOOD : ANSWER_NONE,
					.command = TEXT_NONE,
					.reason = text_of("some reason")}};
		turn(ms, &event, actions);
	}
}

static void session(uint64_t beats)
{
	struct actions actions;
	turn(0, &(struct agent_event){.type = EVENT_OPEN}, &actions);
	respond(1, &actions);
	for (uint64_t i = 1; i <= beats; i++) {
		turn(i * 1000, &(struct agent_event){.type = EVENT_DUE}, &actions);
		respond(i * 1000, &actions);
	}
}

Test(flight, a_recording_replays)
{
	session(50);
	cr_assert(eq(int, replay_file(path, false), 0));
	cr_assert(eq(int, replay_file(path, true), 0));
}

Test(flight, it_wraps_and_replays_from_the_recorded_state)
{
	session(20000);
	cr_assert(gt(u64, flight.order, 3));
	cr_assert(eq(int, replay_file(path, false), 0));
}

Test(flight, a_changed_event_is_named)
{
	session(3);
	uint8_t *data = malloc(FLIGHT_BYTES);
	cr_assert(eq(int, (int)pread(fd, data, FLIGHT_BYTES, 0), FLIGHT_BYTES));
	/* Each frame's checksum is mended, so that only the decision can tell. */
	char *commit = memmem(data, 4096, "71789be9", 8);
	cr_assert(ne(ptr, commit, NULL));
	memcpy(commit, "99534e2b", 8);
	uint32_t at = 0;
	struct frame frame;
	while (frame_parse(data + at, FLIGHT_BYTES - at, &frame) == FRAME_WHOLE)
		at += frame.bytes;
	cr_assert(eq(int, (int)frame_parse(data + at, FLIGHT_BYTES - at, &frame), FRAME_DAMAGED));
	frame_head(data + at, data + at + FRAME_HEAD_BYTES,
		(uint32_t)data[at + 2] << 8 | data[at + 3]);
	cr_assert(eq(int, fd_write_at(fd, data, FLIGHT_BYTES, 0), 0));
	cr_assert(eq(int, replay_file(path, false), 1));
	free(data);
}

Test(flight, damage_and_foreign_files_are_refused)
{
	session(3);
	cr_assert(eq(int, fd_write_at(fd, "x", 1, 100), 0));
	cr_assert(eq(int, replay_file(path, false), 1));
	cr_assert(eq(int, replay_file("/dev/null", false), 1));
	cr_assert(eq(int, replay_file("/nonexistent", false), 1));
}

Test(flight, a_new_recording_forgets_the_old_one)
{
	session(6000);
	flight_finish(&flight);
	agent_init(&agent, &limits);
	flight_init(&flight, fd, (struct wall){0}, &limits);
	session(2);
	cr_assert(eq(int, replay_file(path, false), 0));
}

Test(flight, without_a_file_nothing_is_recorded)
{
	flight_finish(&flight);
	flight_init(&flight, -1, (struct wall){0}, &limits);
	session(3);
	cr_assert(eq(u32, flight.at, 0));
}
