/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A disk that is full, and one that works again: the state folder on a small one of its own. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;
static char text[WORLD_TEXT_BYTES];
static char state[WORLD_TEXT_BYTES]; /* mounted; empty: not */

static void finish(void)
{
	if (state[0])
		umount2(state, MNT_DETACH);
	world_close(&world);
}

TestSuite(disks, .fini = finish, .timeout = 90);

static void begin(void)
{
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can mount a small disk");
	world_open(&world, "");
	snprintf(text, sizeof(text), "%s/state", world.folder);
	cr_assert(mount("none", text, "tmpfs", 0, "size=1m,mode=0700") == 0);
	memcpy(state, text, sizeof(state));
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\ntouch $HOME/running\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\n"
		"seq 100000\nexit 7\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
}

static void fill(void)
{
	char command[WORLD_TEXT_BYTES * 2];
	snprintf(command, sizeof(command), "cat /dev/zero > %s/ballast 2>/dev/null", state);
	cr_assert(system(command) != 0, "the disk is not full");
}

static void make_room(void)
{
	char path[WORLD_TEXT_BYTES * 2];
	snprintf(path, sizeof(path), "%s/ballast", state);
	cr_assert(unlink(path) == 0);
}

static bool store_says(struct world *at, void *needle)
{
	json_t *status = world_status(at);
	const char *store = json_string_value(json_object_get(status, "store"));
	bool has = store && (*(const char *)needle ? strstr(store, needle) != NULL : !*store);
	json_decref(status);
	return has;
}

static void expect_code(int outcomes, const char *needle)
{
	world_expect_outcomes(&world, outcomes, 40000);
	world_expect(&world, "comment", needle);
}

Test(disks, s18_one_that_fills_up_during_a_command_costs_output_and_not_the_outcome)
{
	begin();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_file, "running"));
	fill();
	world_file(&world, "go", "", 0644);
	expect_code(1, "nixos-rebuild exited 7");
	uint64_t start = world_ms();
	json_decref(world_status(&world));
	/* The limit is the supervisor's; starting nfctl under sanitizers is in here too. */
	cr_assert(lt(u64, world_ms() - start, 1000));
	make_room();
	world_command(&world, "switch");
	expect_code(2, "nixos-rebuild exited 7");
	cr_assert(world_until(&world, 10000, world_status_is, "owed=0"));
}

Test(disks, s18_one_that_is_full_takes_no_command_and_loses_none)
{
	begin();
	fill();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, store_says, "No space left on device"));
	bool is_running = world_has_file(&world, "running");
	cr_assert(is_running == false, "it runs though it is not on disk");
	char *said;
	cr_assert(ne(int, world_nfctl(&world, "run pull", &said), 0));
	free(said);
	world_file(&world, "go", "", 0644);
	make_room();
	expect_code(1, "nixos-rebuild exited 7");
	cr_assert(world_until(&world, 10000, store_says, ""));
}
