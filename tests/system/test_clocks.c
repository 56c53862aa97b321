/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clocks that jump and processes that nobody schedules. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/world.h"

#define FREEZE_MS 32000 /* longer than a worker may be silent while all run */

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(clocks, .fini = finish, .timeout = 120);

static const char *find_library(void)
{
	static const char *const paths[] = {
		"/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
		"/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
		"/usr/lib64/faketime/libfaketime.so.1",
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	}
	return NULL;
}

struct more {
	const char *kind;
	uint32_t least;
};

static bool has_more(struct world *at, void *data)
{
	const struct more *more = data;
	return world_count(at, more->kind) >= more->least;
}

static void expect_heartbeats(uint32_t more, uint64_t ms)
{
	struct more wanted = {"register", world_count(&world, "register") + more};
	cr_assert(world_until(&world, ms, has_more, &wanted), "the heartbeats stopped");
}

static void set_clock(const char *offset)
{
	world_file(&world, "clock", offset, 0644);
}

/* The agent's wall clock jumps by ten years, there and back, while a command runs. */
Test(clocks, s13_a_wall_clock_that_jumps_by_years_kills_nothing)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	const char *library = find_library();
	if (!library)
		cr_skip_test("skipped: libfaketime is not installed");
	world_open(&world, "");
	set_clock("+0");
	world_set(&world, "LD_PRELOAD", "%s", library);
	world_set(&world, "FAKETIME_TIMESTAMP_FILE", "%s/clock", world.folder);
	world_set(&world, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
	world_set(&world, "FAKETIME_CACHE_DURATION", "1");
	world_set(&world, "ASAN_OPTIONS", "detect_leaks=0:verify_asan_link_order=0");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nunset LD_PRELOAD\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\nexit "
		"3\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	pid_t worker = world_worker(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	static const char *const jumps[] = {"+3650d", "-3650d", "+0"};
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		set_clock(jumps[i]);
		/* Long enough for the library to look, and for timers to be set by the new clock.
		 */
		expect_heartbeats(12, 10000);
	}
	cr_assert(eq(int, world_worker(&world), worker));
	world_file(&world, "go", "", 0644);
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	cr_expect(strstr(world_outcome(&world, "comment", text), "exited 3") != NULL, "%s", text);
}

/* As in a sleep of the machine: nobody runs, then all do. Nobody is taken for hung, and timers that
 * are overdue fire at once. */
Test(clocks, s13_nobody_is_killed_for_a_time_when_nobody_ran)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\nexit 3\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	pid_t worker = world_worker(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	kill(world.agent, SIGSTOP);
	kill(worker, SIGSTOP);
	poll(NULL, 0, FREEZE_MS); /* the fault itself */
	kill(worker, SIGCONT);
	kill(world.agent, SIGCONT);
	expect_heartbeats(1, 2000);
	cr_assert(eq(int, world_worker(&world), worker));
	world_file(&world, "go", "", 0644);
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	cr_expect(strstr(world_outcome(&world, "comment", text), "exited 3") != NULL, "%s", text);
	char *log = world_log(&world);
	cr_expect(strstr(log, "was not scheduled for") != NULL);
	free(log);
}
