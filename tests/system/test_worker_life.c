/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A worker that is frozen, dies or lies costs nothing but itself. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(worker_life, .fini = finish, .timeout = 90);

/* A helper folder with a worker of the test's own and the build's runner. */
static void use_worker(const char *script)
{
	char path[WORLD_TEXT_BYTES * 2];
	snprintf(path, sizeof(path),
		"mkdir -p %s/libexec && for d in \"$NIXFLEET_LIBEXEC\" "
		"$NIXFLEET_BUILD/supervisor/runner; do "
		"[ -x $d/nixfleet-runner ] && ln -sf $d/nixfleet-runner %s/libexec/ && break; done",
		world.folder, world.folder);
	cr_assert(eq(int, system(path), 0));
	world_file(&world, "libexec/nixfleet-worker", script, 0755);
	snprintf(world.libexec, sizeof(world.libexec), "%s/libexec", world.folder);
}

static bool log_has(struct world *unused, void *needle)
{
	char *log = world_log(unused);
	bool has = strstr(log, needle) != NULL;
	free(log);
	return has;
}

static uint32_t count_in_log(const char *needle)
{
	uint32_t count = 0;
	char *log = world_log(&world);
	for (const char *at = log; (at = strstr(at, needle)); at++)
		count++;
	free(log);
	return count;
}

/* Nobody who asks waits for anything. */
static void expect_quick_status(void)
{
	uint64_t start = world_ms();
	json_t *status = world_status(&world);
	uint64_t took = world_ms() - start;
	cr_assert(status != NULL);
	json_decref(status);
	/* 100 ms are the agent's; a busy machine needs some for the shell and nfctl. */
	cr_assert(lt(u64, took, 500));
}

static bool has_new_worker(struct world *unused, void *old)
{
	pid_t pid = world_worker(unused);
	return pid > 1 && pid != *(pid_t *)old;
}

Test(worker_life, s20_a_frozen_one_is_degraded_then_replaced_and_status_is_quick)
{
	world_open(&world, "");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	pid_t worker = world_worker(&world);
	uint64_t start = world_ms();
	cr_assert(eq(int, kill(worker, SIGSTOP), 0));
	cr_assert(world_until(&world, 16500, world_status_is, "worker=degraded"));
	expect_quick_status();
	char *said;
	cr_assert(eq(int, world_nfctl(&world, "why", &said), 1));
	cr_assert(strstr(said, "an answer of the worker; then it is replaced") != NULL, "%s", said);
	free(said);
	cr_assert(world_until(&world, 35000 - (world_ms() - start), has_new_worker, &worker));
	cr_assert(world_until(&world, 5000, world_status_is, "health=0"));
}

Test(worker_life, one_that_is_killed_is_back_after_a_second)
{
	world_open(&world, "");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	pid_t worker = world_worker(&world);
	uint32_t before = world_count(&world, "register");
	uint64_t start = world_ms();
	kill(worker, SIGKILL);
	cr_assert(world_until(&world, 3000, has_new_worker, &worker));
	cr_assert(world_until(&world, 3000, world_status_is, "health=0"));
	cr_assert(lt(u64, world_ms() - start, 5000));
	cr_assert(gt(u32, world_count(&world, "register"), before));
}

Test(worker_life, s21_one_that_exits_at_once_gets_growing_pauses_and_then_safe_mode)
{
	world_open(&world, "");
	use_worker("#!/bin/sh\n[ \"$1\" = --probe ] && exit 0\nexit 3\n");
	world_agent_start(&world);
	/* 1 + 2 + 4 + 8 seconds, each ±20 %. */
	cr_assert(world_until(&world, 30000, world_status_is, "worker=safe mode"));
	cr_assert(eq(u32, count_in_log("the worker ended: exit code 3"), 5));
	cr_assert(eq(int, world_nfctl(&world, "status", NULL), 2));
	expect_quick_status();
	cr_assert(eq(int, world_agent_stop(&world), 0));
}

Test(worker_life, s26_garbage_costs_its_life_at_once)
{
	world_open(&world, "");
	use_worker("#!/bin/sh\n[ \"$1\" = --probe ] && exit 0\n"
		   "head -c 100000 /dev/urandom >&3\nexec sleep 1000\n");
	world_agent_start(&world);
	uint64_t start = world_ms();
	cr_assert(world_until(&world, 5000, log_has, "the worker broke the protocol"));
	cr_assert(world_until(&world, 1000, log_has, "the worker ended: signal 9"));
	cr_assert(lt(u64, world_ms() - start, 6000));
	expect_quick_status();
}

Test(worker_life, s26_one_that_never_reads_is_killed_not_waited_for)
{
	world_open(&world, "");
	use_worker("#!/bin/sh\n[ \"$1\" = --probe ] && exit 0\nexec sleep 1000\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 5000, world_status_is, "worker=starting"));
	expect_quick_status();
	cr_assert(world_until(&world, 35000, log_has, "the worker ended: signal 9"));
}

Test(worker_life, a_missing_worker_is_said_and_tried_again)
{
	world_open(&world, "");
	use_worker("");
	char path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "%s/libexec/nixfleet-worker", world.folder);
	unlink(path);
	world_agent_start(&world);
	cr_assert(world_until(&world, 5000, log_has, "the worker cannot be started"));
	expect_quick_status();
	cr_assert(eq(int, world_agent_stop(&world), 0));
}

static bool outcome_is_there(struct world *unused, void *count)
{
	return world_has_outcomes(unused, count);
}

static bool gate_says(struct world *at, void *needle)
{
	json_t *status = world_status(at);
	const char *reason = json_string_value(json_object_get(status, "gate_reason"));
	bool does = reason && strstr(reason, needle);
	json_decref(status);
	return does;
}

Test(worker_life, a_probe_that_dies_is_not_taken_for_one_that_hangs)
{
	world_open(&world, "");
	use_worker("#!/bin/sh\nkill -SEGV $$\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 4000, gate_says, "the probe died of signal 11"));
}

Test(worker_life, s19_a_command_goes_on_without_it_and_its_outcome_arrives)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/running\nsleep 2\nexit 7\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	kill(world_worker(&world), SIGKILL);
	cr_assert(world_until(&world, 10000, outcome_is_there, &one));
	cr_assert(strstr(world_outcome(&world, "comment", text), "7") != NULL, "%s", text);
}

Test(worker_life, s19_an_agent_killed_in_the_middle_reports_the_true_code_later)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho ran >> $HOME/count\nsleep 2\necho finished\nexit 9\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, outcome_is_there, &one));
	cr_assert(strstr(world_outcome(&world, "comment", text), "9") != NULL, "%s", text);
	cr_assert(strstr(world_outcome(&world, "output", text), "finished") != NULL, "%s", text);
	/* It ran once. */
	char command[WORLD_TEXT_BYTES];
	snprintf(command, sizeof(command), "test $(wc -l < %s/count) = 1", world.folder);
	cr_assert(eq(int, system(command), 0));
}

static bool is_up_again(struct world *at, void *old)
{
	return has_new_worker(at, old) && world_status_is(at, "worker=up");
}

Test(worker_life, an_outcome_over_which_two_died_is_shown_and_told_without_its_output)
{
	char *output;
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho a line that kills\nwhile [ ! -e $HOME/go ]; do sleep 0.02; "
		"done\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_status_is, "why=a command runs"));
	world_dashboard_stop(&world);
	world_file(&world, "go", "", 0644);
	cr_assert(world_until(&world, 10000, world_status_is, "owed=1"));
	for (int i = 0; i < 2; i++) {
		pid_t worker = world_worker(&world);
		cr_assert(eq(int, kill(worker, SIGKILL), 0));
		cr_assert(world_until(&world, 10000, is_up_again, &worker));
	}
	cr_assert(world_until(&world, 5000, world_status_is, "poison=1"));
	world_nfctl(&world, "status", &output);
	cr_assert(strstr(output, "told last and without its output") != NULL, "%s", output);
	free(output);
	world_dashboard_start(&world, "");
	/* A new one knows nothing of the host's commands, and takes the report all the same. */
	cr_assert(world_until(&world, 45000, world_status_is, "owed=0"));
	cr_assert(world_until(&world, 5000, world_status_is, "poison=0"));
	json_t *requests = world_requests(&world);
	output = json_dumps(requests, 0);
	cr_assert(strstr(output, "a line that kills") == NULL, "%s", output);
	free(output);
	json_decref(requests);
}
