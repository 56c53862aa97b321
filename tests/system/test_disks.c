/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A disk that is full, and one that works again: the state folder on a small one of its own. And
 * the repository's, that hangs. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/system/hung_disk.h"
#include "tests/system/world.h"

static struct world world;
static char text[WORLD_TEXT_BYTES];
static char state[WORLD_TEXT_BYTES]; /* mounted; empty: not */

static char repository[WORLD_TEXT_BYTES];
static pid_t hung; /* the server of its disk; 0: it answers */

static void answer_again(void)
{
	if (hung > 0)
		hung_disk_end(hung, repository);
	hung = 0;
}

static void finish(void)
{
	answer_again();
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

/* ---- the repository ---- */

static void open_with_repository(const char *scheme)
{
	world_open(&world, "");
	world_own_mounts();
	snprintf(repository, sizeof(repository), "%s/repo", world.folder);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 7\n");
	world_set(&world, "NIXFLEET_TIMEOUT_SWITCH", "1");
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
	world_set(&world, "NIXFLEET_URL", "%s://127.0.0.1:%d/%s", scheme, world.port,
		scheme[0] == 'w' ? "ws" : "");
}

static void expect_beats(const char *kind, uint32_t more)
{
	uint32_t least = world_count(&world, kind) + more;
	for (uint64_t end = world_ms() + 20000;
		world_ms() < end && world_count(&world, kind) < least;)
		poll(NULL, 0, 50);
	cr_assert(ge(u32, world_count(&world, kind), least), "%s", world_log(&world));
}

static bool detail_says(struct world *at, void *needle)
{
	json_t *status = world_status(at);
	const char *detail = json_string_value(json_object_get(status, "link_detail"));
	bool has = detail && strstr(detail, needle) != NULL;
	json_decref(status);
	return has;
}

/* In what the dashboard was told last. */
static void expect_commit(const char *field, bool is_known)
{
	json_t *requests = world_requests(&world);
	const char *commit = NULL;
	for (size_t i = 0; i < json_array_size(requests); i++) {
		const json_t *body = json_object_get(json_array_get(requests, i), "body");
		const char *said = json_string_value(json_object_get(body, field));
		commit = said ? said : commit;
	}
	cr_assert(ne(ptr, (void *)(uintptr_t)commit, NULL));
	cr_assert(eq(int, *commit != '\0', is_known), "%s", commit);
	json_decref(requests);
}

/* The host is there, runs commands and says what is wrong. */
static void expect_host(const char *kind, bool is_commit_known)
{
	char *said;
	pid_t worker = world_worker(&world);
	/* After a command it is looked at, whether or not anything told of a change. Its folder is
	 * the repository. */
	world_command(&world, "switch");
	expect_code(1, "timed out");
	cr_assert(world_until(&world, 20000, detail_says, "the repository's disk does not answer"),
		"%s", world_log(&world));
	cr_assert(eq(int, world_nfctl(&world, "why", &said), 1), "%s", said);
	cr_assert(strstr(said, "the repository's disk does not answer") != NULL, "%s", said);
	free(said);
	expect_beats(kind, 10);
	expect_commit(is_commit_known ? "current_generation" : "generation", is_commit_known);
	cr_assert(eq(int, (int)world_worker(&world), (int)worker));
}

Test(disks, s18_a_repository_that_hangs_leaves_the_host_registered)
{
	open_with_repository("http");
	world_agent_start_registered(&world);
	hung = hung_disk_mount(repository);
	expect_host("register", true);
	answer_again();
	cr_assert(world_until(&world, 10000, world_status_is, "link_detail="));
	cr_assert(eq(int, world_agent_stop(&world), 0));
}

Test(disks, s18_a_repository_that_hangs_from_the_start_leaves_the_host_registered)
{
	open_with_repository("ws");
	hung = hung_disk_mount(repository);
	world_agent_start_registered(&world);
	expect_host("heartbeat", false);
	/* Nobody waits for who hangs. */
	uint64_t start = world_ms();
	cr_assert(eq(int, world_agent_stop(&world), 0));
	cr_assert(lt(u64, world_ms() - start, 4000));
}
