/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One instance, always. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(instance, .fini = finish, .timeout = 60);

static void healthy(void)
{
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
}

#define STARTS 50

Test(instance, s01_fifty_starts_at_once_make_one_agent)
{
	world_open(&world, "");
	world_set(&world, "NIXFLEET_INTERVAL", "60");
	pid_t agents[STARTS];
	uint32_t running = 0, held = 0;
	for (int i = 0; i < STARTS; i++) {
		world_agent_start(&world);
		agents[i] = world.agent;
	}
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	struct stat before, after;
	char socket[128];
	snprintf(socket, sizeof(socket), "%s/run/control.sock", world.folder);
	cr_assert(eq(int, stat(socket, &before), 0));
	json_t *status_now = world_status(&world);
	pid_t winner = (pid_t)json_integer_value(json_object_get(status_now, "pid"));
	json_decref(status_now);
	for (int i = 0; i < STARTS; i++) {
		if (agents[i] == winner) {
			running++;
			continue;
		}
		world.agent = agents[i];
		held += world_agent_wait(&world, 5000) == 100;
	}
	world.agent = winner;
	cr_assert(eq(u32, running, 1));
	cr_assert(eq(u32, held, STARTS - 1));
	/* Who loses touches nothing and sends nothing. */
	uint32_t requests = world_count(&world, "register");
	uint64_t start = world_ms();
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 100));
	cr_assert(lt(u64, world_ms() - start, 1000));
	world.agent = winner;
	cr_assert(eq(int, stat(socket, &after), 0));
	cr_assert(eq(u64, before.st_ino, after.st_ino));
	cr_assert(eq(u32, world_count(&world, "register"), requests));
	char *log = world_log(&world);
	cr_assert(strstr(log, "Another agent instance is already running (pid ") != NULL);
	free(log);
}

Test(instance, s02_a_removed_lock_file_or_another_state_folder_makes_no_second_one)
{
	char path[128];
	world_open(&world, "");
	healthy();
	pid_t first = world.agent;
	snprintf(path, sizeof(path), "/run/nixfleet-agent/agent-%s.lock", world.host);
	/* Other variables, the same account and host. */
	world_set(&world, "NIXFLEET_STATE_DIR", "%s/elsewhere", world.folder);
	world_set(&world, "NIXFLEET_RUNTIME_DIR", "%s/elsewhere-run", world.folder);
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 100));
	/* The same state folder, the file gone. */
	if (geteuid() == 0)
		cr_assert(eq(int, unlink(path), 0));
	world_set(&world, "NIXFLEET_STATE_DIR", "%s/state", world.folder);
	world_set(&world, "NIXFLEET_RUNTIME_DIR", "%s/run", world.folder);
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 100));
	world.agent = first;
	cr_assert(eq(int, world_agent_stop(&world), 0));
}

Test(instance, s02_a_state_folder_that_was_replaced_makes_no_second_one)
{
	char from[128], to[128];
	world_open(&world, "");
	healthy();
	pid_t first = world.agent;
	snprintf(from, sizeof(from), "%s/state", world.folder);
	snprintf(to, sizeof(to), "%s/moved", world.folder);
	cr_assert(eq(int, rename(from, to), 0));
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 100));
	world.agent = first;
}

/* Another file system stands over the state folder, for those who start later. */
Test(instance, s02_a_state_folder_behind_a_mount_makes_no_second_one)
{
	char state[128], other[128];
	world_open(&world, "");
	healthy();
	pid_t first = world.agent;
	snprintf(state, sizeof(state), "%s/state", world.folder);
	snprintf(other, sizeof(other), "%s/other", world.folder);
	cr_assert(eq(int, mkdir(other, 0700), 0));
	/* This test is a process of its own, and what it starts from now on sees the mount. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(other, state, NULL, MS_BIND, NULL) < 0)
		cr_skip_test("skipped: mounts cannot be made here");
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 100));
	cr_assert(eq(int, umount2(state, MNT_DETACH), 0));
	world.agent = first;
	cr_assert(eq(int, world_agent_stop(&world), 0));
}

static bool is_gone(struct world *unused, void *data)
{
	char path[64], text[256] = "";
	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)*(pid_t *)data);
	FILE *file = fopen(path, "r");
	if (!file)
		return true;
	(void)!fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	/* A zombie that its new parent has not looked at yet does nothing any more. */
	return strstr(text, ") Z ") != NULL || *text == '\0';
}

Test(instance, s03_after_a_kill_a_new_one_has_the_locks_and_the_old_worker_is_gone)
{
	world_open(&world, "");
	healthy();
	pid_t worker = world_worker(&world);
	cr_assert(gt(int, worker, 1));
	kill(worker, SIGSTOP);
	kill(world.agent, SIGKILL);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 1000 + SIGKILL));
	uint32_t before = world_count(&world, "register");
	uint64_t start = world_ms();
	world_agent_start(&world);
	cr_assert(world_until(&world, 1000 + 2000, world_status_is, "gate=open"));
	cr_assert(lt(u64, world_ms() - start, 3000));
	cr_assert(world_until(&world, 1000, is_gone, &worker), "the old worker still lives");
	cr_assert(world_until(&world, 5000, world_status_is, "health=0"));
	cr_assert(gt(u32, world_count(&world, "register"), before));
}

/* A child that asks for the members of a group waits for a name service that says nothing. */
Test(instance, s03_a_kill_while_the_name_service_is_asked_frees_the_locks)
{
	char command[WORLD_TEXT_BYTES];
	world_own_mounts();
	world_open(&world, NULL);
	snprintf(command, sizeof(command), "mkfifo %s/silent && mount --bind %s/silent /etc/group",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	world_agent_start(&world);
	usleep(1000000);
	kill(world.agent, SIGKILL);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 1000 + SIGKILL));
	umount2("/etc/group", MNT_DETACH);
	healthy();
}

Test(instance, s04_a_clean_stop_leaves_nothing_and_a_new_start_works_at_once)
{
	char socket[128], lock[128];
	world_open(&world, "");
	healthy();
	snprintf(socket, sizeof(socket), "%s/run/control.sock", world.folder);
	snprintf(lock, sizeof(lock), "/run/nixfleet-agent/agent-%s.lock", world.host);
	cr_assert(eq(int, world_agent_stop(&world), 0));
	cr_assert(access(socket, F_OK) != 0);
	cr_assert(access(lock, F_OK) != 0);
	healthy();
	kill(world.agent, SIGINT);
	cr_assert(eq(int, world_agent_wait(&world, 10000), 0));
	cr_assert(eq(int, world_nfctl(&world, "status", NULL), 3));
	char names[WORLD_TEXT_BYTES];
	cr_assert(eq(u32, world_survivors(&world, world.mark, names), 0), "%s", names);
}

Test(instance, bad_configuration_is_one_line_and_78)
{
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_INTERVAL", "soon");
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 78));
	char *log = world_log(&world);
	cr_assert(
		strstr(log, "NIXFLEET_INTERVAL is 'soon': it must be seconds from 0.1 to 3600\n") !=
		NULL);
	free(log);
}

Test(instance, an_unusable_state_folder_is_111)
{
	char path[128];
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/state", world.folder);
	chmod(path, 0777);
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 111));
}
