/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A pause: what waits behind it, and what ends it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(pause, .fini = finish, .timeout = 90);

static bool agent_logs(struct world *of, void *needle)
{
	char *log = world_log(of);
	bool is = strstr(log, needle) != NULL;
	free(log);
	return is;
}

static void restart(void)
{
	cr_assert(eq(int, world_agent_stop(&world), 0));
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
}

Test(pause, a_pause_over_http_queues_and_outlives_a_restart)
{
	int one = 1;
	world_begin(&world, "");
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_expect_nfctl(
		&world, "pause --for 2h --reason 'the disk is copied'", 0, ": the disk is copied");
	cr_assert(world_until(&world, 2000, world_status_is, "health=0"));
	world_expect_nfctl(&world, "status", 0, "healthy: paused until 20");
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_status_is, "queued=1"));
	restart();
	world_expect_nfctl(&world, "status", 0, ": the disk is copied");
	cr_assert(world_status_is(&world, "queued=1"));
	world_expect_nfctl(&world, "resume", 0, "resumed");
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	restart();
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
	world_expect_nfctl(&world, "resume", 0, "it was not paused");
	world_expect_nfctl(&world, "pause --for soon", 64, "a time such as 90s");
}

/* The last of them would be 384 ms if it were taken as a number of 64 bits. */
Test(pause, a_pause_that_no_number_holds_is_refused)
{
	world_open(&world, NULL);
	world_expect_nfctl(&world, "pause --for 367d", 64, "366d at most");
	world_expect_nfctl(&world, "pause --for 5124095577h", 64, "366d at most");
	world_expect_nfctl(&world, "pause --for 99999999999999999999h", 64, "366d at most");
	world_expect_nfctl(&world, "pause --for 18446744073709551615s", 64, "366d at most");
	world_expect_nfctl(&world,
		"pause --for $(printf '31622400d%.0s' $(seq 6751))21159934d51952s", 64,
		"366d at most");
}

static bool newest_ended(struct world *of, void *unused)
{
	char *said;
	(void)unused;
	world_nfctl(of, "runs -n 1", &said);
	bool is = strstr(said, "exited 0") != NULL;
	free(said);
	return is;
}

Test(pause, a_pause_ends_by_itself_and_what_waited_runs)
{
	world_begin(&world, NULL);
	world_expect_nfctl(&world, "pause --for 2s", 0, "paused until");
	world_expect_nfctl(&world, "run switch", 0, "is queued");
	world_expect_nfctl(&world, "run switch", 2, "already waiting");
	world_expect_nfctl(&world, "run switch --wait", 2, "already waiting");
	uint64_t start = world_ms();
	cr_assert(world_until(&world, 10000, world_status_is, "queued=0"));
	cr_assert(lt(u64, world_ms() - start, 4000));
	cr_assert(world_until(&world, 5000, newest_ended, NULL));
}

Test(pause, settings_of_somebody_else_are_set_aside_by_name)
{
	char path[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/state", world.folder);
	chmod(path, 0700);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_file(&world, "state/settings", "paused = yes, please", 0600);
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
	cr_assert(agent_logs(&world, "settings in the state folder is set aside as settings.bad"));
	cr_assert(eq(str, world_content(&world, "state/settings.bad"), "paused = yes, please"));
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
}

static bool page_says(struct world *of, void *needle)
{
	json_t *seen = world_seen(of);
	const json_t *all = json_object_get(json_object_get(seen, "heartbeat"), "update_status");
	const json_t *message = json_object_get(json_object_get(all, "system"), "message");
	const char *text = json_is_string(message) ? json_string_value(message) : "";
	size_t size = strlen(needle);
	bool is = size == 0 ? strstr(text, "paused") == NULL && *text
			    : strncmp(text, needle, size) == 0;
	json_decref(seen);
	return is;
}

Test(pause, a_pause_over_websocket_shows_on_the_page_and_refuses)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_set(&world, "NIXFLEET_URL", "ws://127.0.0.1:%d/ws", world.port);
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	world_expect_nfctl(
		&world, "pause --reason 'hands off'", 0, "paused until it is resumed: hands off");
	cr_assert(world_until(&world, 10000, page_says, "paused"));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	world_outcome(&world, "comment", text);
	cr_assert(strstr(text, "paused until it is resumed: hands off") != NULL ||
			  strstr(world_outcome(&world, "message", text), "hands off") != NULL,
		"%s", text);
	world_expect_nfctl(&world, "resume", 0, "resumed");
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
	cr_assert(world_until(&world, 10000, page_says, ""));
}
