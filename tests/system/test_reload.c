/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The settings, where they are read again and where they cannot be read. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "tests/system/hung_disk.h"
#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(reload, .fini = finish, .timeout = 90);

/* The agent's next start takes this file of the world's folder for its configuration. */
static void configure_by(const char *name)
{
	char text[WORLD_TEXT_BYTES * 3];
	snprintf(text, sizeof(text), "#!/bin/sh\nexec \"$1\" --config %s/%s\n", world.folder, name);
	world_file(&world, "launch", text, 0755);
	snprintf(world.launcher, sizeof(world.launcher), "%s/launch", world.folder);
}

Test(reload, reload_answers_with_the_error_and_keeps_the_good_one)
{
	world_open(&world, NULL);
	world_file(&world, "agent.conf", "NIXFLEET_LOCATION=home\n", 0600);
	configure_by("agent.conf");
	world_agent_start(&world);
	world_stub(&world, "reboot", "#!/bin/sh\nexit 0\n");
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
	world_expect_nfctl(&world, "reload", 0, "the configuration was read again");
	world_file(&world, "agent.conf", "NIXFLEET_THEME_COLOR=red\nNIXFLEET_BRANCH=-x\n", 0600);
	world_expect_nfctl(
		&world, "reload", 2, "the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	/* The same words wherever one looks, until it is mended. */
	world_expect_nfctl(&world, "status", 1,
		"degraded: the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	world_expect_nfctl(
		&world, "doctor", 2, "the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	world_file(&world, "agent.conf", "no sense\n", 0600);
	world_expect_nfctl(&world, "reload", 2, "line 1, is not of the form KEY=VALUE");
	/* Commands of the host's own are read at the start alone. */
	world_file(&world, "agent.conf", "NIXFLEET_OPS_DIR=/tmp/other\n", 0600);
	world_expect_nfctl(&world, "reload", 2, "restart the agent to change");
	world_file(&world, "agent.conf", "NIXFLEET_LOCATION=work\n", 0600);
	world_expect_nfctl(&world, "reload", 0,
		"the configuration was read again\n"); /* standalone: no worker */
	cr_assert(world_status_is(&world, "health=0"));
}

Test(reload, reload_starts_a_worker_with_the_new_settings)
{
	static const char *const settings[] = {"LOCATION=work", "INTERVAL=0.7", "LOG_LEVEL=debug"};
	char line[64];
	world_open(&world, "");
	world_file(&world, "token", "shared-token", 0600);
	world_set(&world, "NIXFLEET_TOKEN", NULL);
	world_set(&world, "NIXFLEET_TOKEN_FILE", "%s/token", world.folder);
	world_set(&world, "NIXFLEET_INTERVAL", NULL);
	world_set(&world, "NIXFLEET_LOG_LEVEL", NULL);
	world_file(&world, "agent.conf", "", 0600);
	configure_by("agent.conf");
	world_agent_start_registered(&world);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		pid_t former = world_worker(&world);
		snprintf(line, sizeof(line), "NIXFLEET_%s\n", settings[i]);
		world_file(&world, "agent.conf", line, 0600);
		world_expect_nfctl(&world, "reload", 0, "the worker starts anew with it");
		cr_assert(world_until(&world, 10000, world_has_another_worker, &former), "%s",
			world_log(&world));
		cr_assert(eq(int, kill(world.agent, 0), 0));
	}
	world_file(&world, "token", "another-token", 0600);
	world_expect_nfctl(&world, "reload", 0, "the worker starts anew with it");
	cr_assert(
		world_until(&world, 10000, world_status_is, "why=the dashboard refuses the token"),
		"%s", world_log(&world));
	world_expect_nfctl(&world, "reload", 0, "the configuration was read again\n");
}

/* A reason that its field does not hold is cut; its client is told what there is of it. */
Test(reload, reload_answers_with_a_long_error_too)
{
	char name[201], text[WORLD_TEXT_BYTES * 2], path[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	memset(name, 'a', 200);
	name[200] = '\0';
	snprintf(path, sizeof(path), "%s/%s", world.folder, name);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	snprintf(text, sizeof(text), "%s/%s.conf", name, name);
	world_file(&world, text, "", 0600);
	configure_by(text);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
	snprintf(text, sizeof(text), "%s/%s.conf", path, name);
	cr_assert(eq(int, unlink(text), 0));
	world_expect_nfctl(&world, "reload", 2, "the new configuration is not used: /");
}

/* The account's name and home come from the name service, which may need the network. */
Test(reload, reload_does_not_wait_for_the_name_service)
{
	char command[WORLD_TEXT_BYTES];
	world_own_mounts();
	world_begin(&world, NULL);
	snprintf(command, sizeof(command), "mkfifo %s/silent && mount --bind %s/silent /etc/passwd",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	uint64_t start = world_ms();
	snprintf(command, sizeof(command),
		"timeout 10 $NIXFLEET_BUILD/supervisor/nfctl/nfctl --socket %s/run/control.sock "
		"reload",
		world.folder);
	int code = system(command);
	umount2("/etc/passwd", MNT_DETACH);
	cr_assert(eq(int, code, 0));
	cr_assert(lt(u64, world_ms() - start, 5000));
}

/* An agent of that user, with a state folder of its own: its exit code, or 1000. */
static int start_as(uid_t user)
{
	char agent[WORLD_TEXT_BYTES], text[WORLD_TEXT_BYTES];
	int status;
	snprintf(agent, sizeof(agent), "%s/agent", world.folder);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(10);
		snprintf(text, sizeof(text), "%s/refused.txt", world.folder);
		dup2(open(text, O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
		snprintf(text, sizeof(text), "%s/theirs", world.folder);
		setenv("HOME", text, 1);
		snprintf(text, sizeof(text), "%s/theirs/state", world.folder);
		setenv("NIXFLEET_STATE_DIR", text, 1);
		setenv("NIXFLEET_HOSTNAME", "h1", 1);
		if (setuid(user) == 0)
			execl(agent, agent, "--config", "/dev/null", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

/* Of root that much is known without it; the lock of another account is below its home. */
Test(reload, an_account_that_is_not_known_is_root_or_refused)
{
	char *said = NULL;
	world_own_mounts();
	world_open(&world, NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho I am $USER in $HOME\n");
	world_set(&world, "HOME", NULL);
	world_set(&world, "USER", NULL);
	cr_assert(eq(int,
		world_script(&world,
			"mkdir $FOLDER/theirs && chown 54321 $FOLDER/theirs && chmod 755 $FOLDER "
			"&& "
			"cp $NIXFLEET_BUILD/supervisor/nixfleet-agent $FOLDER/agent && "
			"mkfifo $FOLDER/silent && mount --bind $FOLDER/silent /etc/passwd",
			NULL),
		0));
	world_agent_start(&world);
	bool is_well = world_until(&world, 10000, world_status_is, "health=0");
	int code = is_well ? world_nfctl(&world, "run switch --wait", &said) : -1;
	int refused = start_as(54321);
	umount2("/etc/passwd", MNT_DETACH);
	cr_assert(is_well);
	cr_assert(eq(int, code, 0), "%s", said);
	cr_assert(strstr(said, "I am root in /root") != NULL, "%s", said);
	free(said);
	cr_assert(eq(int, refused, 111), "%s", world_content(&world, "refused.txt"));
	cr_assert(strstr(world_content(&world, "refused.txt"),
			  "the home of user 54321 is not known") != NULL,
		"%s", world_content(&world, "refused.txt"));
}

/* Without an agent nfctl looks at the settings itself. */
Test(reload, a_silent_name_service_keeps_nobody_waiting)
{
	world_own_mounts();
	world_open(&world, NULL);
	/* A bash that misses one of them asks the name service itself. */
	setenv("SHELL", "/bin/sh", 1);
	setenv("HOME", world.folder, 1);
	cr_assert(eq(int,
		world_script(&world,
			"mkfifo $FOLDER/silent && mount --bind $FOLDER/silent /etc/passwd", NULL),
		0));
	int code = world_script(&world, "timeout 10 $NFCTL status --socket $FOLDER/none", NULL);
	int written = world_script(
		&world, "timeout 60 $NFCTL diagnostics $FOLDER/d.tar --socket $FOLDER/none", NULL);
	umount2("/etc/passwd", MNT_DETACH);
	cr_assert(eq(int, code, 3));
	cr_assert(eq(int, written, 0));
}

/* Without a look at the target. */
static void point_configuration_at(const char *target)
{
	char path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "%s/agent.conf", world.folder);
	unlink(path);
	cr_assert(eq(int, symlink(target, path), 0));
}

/* An agent that reads its configuration again, for a client, from a disk that hangs. */
static pid_t begin_hung_reload(char *path)
{
	char text[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(path, WORLD_TEXT_BYTES, "%s/hung", world.folder);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	world_own_mounts();
	pid_t server = hung_disk_mount(path);
	world_file(&world, "good.conf", "NIXFLEET_LOCATION=home\n", 0600);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	point_configuration_at("good.conf");
	configure_by("agent.conf");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
	point_configuration_at("hung/agent.conf");
	snprintf(text, sizeof(text), "reload > %s/reload.txt 2>&1 &", world.folder);
	cr_assert(eq(int, world_nfctl(&world, text, NULL), 0));
	usleep(500000);
	return server;
}

Test(reload, s18_a_configuration_on_a_disk_that_hangs_holds_nothing_up)
{
	char path[WORLD_TEXT_BYTES], *said;
	pid_t server = begin_hung_reload(path);
	uint64_t start = world_ms();
	cr_assert(eq(int, world_nfctl(&world, "status", &said), 0), "%s", said);
	cr_assert(strstr(said, "reading the configuration is given up") != NULL, "%s", said);
	free(said);
	cr_assert(lt(u64, world_ms() - start, 1500));
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
	cr_assert(world_until(&world, 10000, world_status_is, "health=1"));
	world_expect_nfctl(
		&world, "status", 1, "not used: it could not be read in time: its disk hangs");
	cr_assert(strstr(world_content(&world, "reload.txt"), "its disk hangs") != NULL);
	/* Until the disk is gone there is no second one that hangs. */
	world_expect_nfctl(&world, "reload", 2, "its last reading still hangs");
	hung_disk_end(server, path);
	point_configuration_at("good.conf");
	usleep(500000);
	world_expect_nfctl(&world, "reload", 0, "the configuration was read again");
	cr_assert(world_status_is(&world, "health=0"));
}

Test(reload, s13_a_configuration_is_not_given_up_for_a_time_when_nobody_ran)
{
	char path[WORLD_TEXT_BYTES];
	pid_t server = begin_hung_reload(path);
	kill(world.agent, SIGSTOP);
	usleep((RELOAD_MS + SUPERVISOR_AWAY_MS + 500) * 1000);
	hung_disk_end(server, path);
	usleep(200000);
	kill(world.agent, SIGCONT);
	cr_assert(world_until(&world, 5000, world_status_is, "health=1"));
	world_expect_nfctl(&world, "status", 1, "agent.conf cannot be read");
	cr_assert(strstr(world_content(&world, "reload.txt"), "agent.conf cannot be read") != NULL);
}
