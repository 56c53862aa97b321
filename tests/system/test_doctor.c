/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl why and nfctl doctor: what is wrong, and what to do. */
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
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(doctor, .fini = finish, .timeout = 90);

static bool why_says(struct world *of, void *needle)
{
	char *said;
	int code = world_nfctl(of, "why", &said);
	bool is = strstr(said, needle) != NULL &&
		  code == (strstr(said, "nothing is waited") ? 0 : 1);
	free(said);
	return is;
}

Test(doctor, why_names_a_silent_step_its_processes_and_the_queue_behind)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexec sleep 60\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	cr_assert(world_until(&world, 10000, why_says, "nothing is waited for"));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, why_says, "switch to end (for "));
	cr_assert(world_until(&world, 10000, why_says, " sleep, state S"));
	cr_assert(world_until(&world, 10000, why_says, "step evaluate, no output for "));
	world_command(&world, "pull");
	cr_assert(world_until(&world, 10000, why_says, "1 command behind 20"));
	char *said;
	world_nfctl(&world, "why --json", &said);
	json_t *list = json_loads(said, 0, NULL);
	cr_assert(eq(str,
		(char *)json_string_value(json_object_get(json_array_get(list, 0), "stage")),
		"evaluate"));
	json_decref(list);
	free(said);
	world_expect_nfctl(&world, "pause --reason tea", 0, "paused");
	world_expect_nfctl(&world, "cancel", 0, "is being ended");
	cr_assert(world_until(&world, 20000, why_says, "1 command behind the pause"));
	world_expect_nfctl(&world, "why", 1, "paused until it is resumed: tea");
}

Test(doctor, why_names_what_the_network_says_and_a_worker_that_waits)
{
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_URL", "http://127.0.0.1:9");
	world_set(&world, "NIXFLEET_ALLOW_INSECURE_HTTP", "1");
	world_set(&world, "NIXFLEET_TOKEN", "shared-token");
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, why_says,
		"the network: connection refused by 127.0.0.1:9; then the gate opens anyway (for"));
	cr_assert(world_until(&world, 20000, world_status_is, "worker=up"));
	kill(world_worker(&world), SIGKILL);
	cr_assert(world_until(&world, 5000, why_says, "the next start of the worker, which ended"));
}

/* The dashboard answers no report: an outcome is owed, and an announced command waits for it. */
Test(doctor, why_names_what_is_owed_and_who_leaves)
{
	world_begin(&world, "");
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_fault(&world, "{\"match\":\"status\",\"count\":100,\"kind\":\"cut\",\"bytes\":0}");
	world_command(&world, "restart");
	cr_assert(world_until(&world, 10000, why_says, "the dashboard to take 1 outcome"));
	cr_assert(world_until(
		&world, 5000, why_says, "what is owed to be delivered before the agent leaves"));
	cr_assert(eq(int, world_agent_wait(&world, 20000), 101));
}

Test(doctor, why_names_who_holds_the_lock_when_nobody_answers)
{
	char text[WORLD_TEXT_BYTES], *said;
	world_begin(&world, NULL);
	snprintf(text, sizeof(text), "HOME=%s NIXFLEET_HOSTNAME=%s $NFCTL why --socket %s/none",
		world.folder, world.host, world.folder);
	cr_assert(eq(int, world_script(&world, text, &said), 3));
	snprintf(text, sizeof(text), ".lock is held by pid %d since 20", (int)world.agent);
	cr_assert(strstr(said, text) != NULL, "%s", said);
	free(said);
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
	snprintf(text, sizeof(text), "HOME=%s NIXFLEET_HOSTNAME=%s $NFCTL why --socket %s/none",
		world.folder, world.host, world.folder);
	cr_assert(eq(int, world_script(&world, text, &said), 3));
	cr_assert(strstr(said, "which is gone: the next agent takes it") != NULL, "%s", said);
	free(said);
	snprintf(text, sizeof(text), "NIXFLEET_INTERVAL=never $NFCTL why --socket %s/none",
		world.folder);
	cr_assert(eq(int, world_script(&world, text, &said), 3));
	cr_assert(strstr(said, "NIXFLEET_INTERVAL is 'never': it must be seconds") != NULL, "%s",
		said);
	free(said);
}

Test(doctor, doctor_finds_what_is_wrong_and_says_the_fix)
{
	char path[WORLD_TEXT_BYTES], words[WORLD_TEXT_BYTES], *said;
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_stub(&world, "reboot", "#!/bin/sh\nexit 0\n");
	world_file(&world, "token", "shared-token\n", 0600);
	world_set(&world, "NIXFLEET_TOKEN", NULL);
	world_set(&world, "NIXFLEET_TOKEN_FILE", "%s/token", world.folder);
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
	/* Plain text is all there is to warn of. */
	world_expect_nfctl(&world, "doctor", 1, "plain text: the token can be read on the way");
	world_expect_nfctl(&world, "doctor", 1, "ok       agent       all is well");
	world_expect_nfctl(&world, "doctor", 1, "repo is clean");
	world_expect_nfctl(&world, "doctor", 1, "s from the dashboard's");
	world_expect_nfctl(&world, "doctor", 1, "MiB are free for");
	world_expect_nfctl(&world, "doctor", 1, "held by pid");
	snprintf(path, sizeof(path), "%s/token", world.folder);
	chmod(path, 0644);
	snprintf(words, sizeof(words),
		"warning  token       %.200s can be read by others (mode 644): chmod 600", path);
	world_expect_nfctl(&world, "doctor", 1, words);
	chmod(path, 0640);
	world_expect_nfctl(&world, "doctor", 1, "can be read by others (mode 640): chmod 600");
	chmod(path, 0600);
	if (geteuid() == 0) {
		cr_assert(eq(int, chown(path, 61234, (gid_t)-1), 0));
		world_expect_nfctl(
			&world, "doctor", 1, "token belongs to user 61234: it must belong to root");
		cr_assert(eq(int, chown(path, 0, (gid_t)-1), 0));
	}
	world_file(&world, "repo/flake.lock", "{\"changed\":1}\n", 0644);
	world_expect_nfctl(
		&world, "doctor", 1, "has changes ( M flake.lock): commit or stash them");
	snprintf(path, sizeof(path), "%s/bin/nixos-rebuild", world.folder);
	unlink(path);
	world_expect_nfctl(&world, "doctor", 2, "needs nixos-rebuild, which is not in PATH");
	world_dashboard_stop(&world);
	world_expect_nfctl(&world, "doctor", 2, ": connection refused by 127.0.0.1");
	cr_assert(eq(int, world_nfctl(&world, "doctor --json", &said), 2));
	json_t *list = json_loads(said, 0, NULL);
	cr_assert(gt(sz, json_array_size(list), 8), "%s", said);
	cr_assert(strstr(said, "shared-token") == NULL);
	json_decref(list);
	free(said);
}

Test(doctor, doctor_works_without_an_agent)
{
	char text[WORLD_TEXT_BYTES], *said;
	world_open(&world, NULL);
	snprintf(text, sizeof(text),
		"export HOME=%s NIXFLEET_HOSTNAME=%s NIXFLEET_REPO_DIR=%s/repo "
		"NIXFLEET_STATE_DIR=%s/state; $NFCTL doctor --socket %s/none --config /dev/null",
		world.folder, world.host, world.folder, world.folder, world.folder);
	cr_assert(eq(int, world_script(&world, text, &said), 2));
	cr_assert(strstr(said, "failed   agent       the agent is not running: start it") != NULL,
		"%s", said);
	cr_assert(strstr(said, "repo is clean") != NULL, "%s", said);
	cr_assert(strstr(said, "nobody holds") != NULL, "%s", said);
	free(said);
	cr_assert(eq(int,
		world_script(&world, "NIXFLEET_LOG_LEVEL=loud $NFCTL doctor --socket $FOLDER/none",
			&said),
		2));
	cr_assert(strstr(said, "failed   settings    NIXFLEET_LOG_LEVEL is 'loud'") != NULL, "%s",
		said);
	free(said);
}

/* Without an agent, with these variables besides. */
static void expect_alone(const char *variables, const char *needle)
{
	char text[WORLD_TEXT_BYTES * 2], *said;
	snprintf(text, sizeof(text),
		"export HOME=%s NIXFLEET_HOSTNAME=%s NIXFLEET_REPO_DIR=%s/repo "
		"NIXFLEET_STATE_DIR=%s/state %s; $NFCTL doctor --socket %s/none --config /dev/null",
		world.folder, world.host, world.folder, world.folder, variables, world.folder);
	cr_assert(eq(int, world_script(&world, text, &said), 2));
	cr_assert(strstr(said, needle) != NULL, "%s: %s", needle, said);
	free(said);
}

Test(doctor, doctor_says_who_has_the_lock_and_whether_there_is_a_repository)
{
	char words[WORLD_TEXT_BYTES];
	world_begin(&world, NULL);
	snprintf(words, sizeof(words), "is held by pid %d since 20", (int)world.agent);
	expect_alone("", words);
	expect_alone("", "Z, which does not answer");
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
	expect_alone("", "which is gone: the next agent takes it");
	expect_alone("NIXFLEET_REPO_DIR=$FOLDER/none",
		"/none is no git repository: clone the configuration to it");
	expect_alone("NIXFLEET_REPO_DIR=$FOLDER/none NIXFLEET_REPO_URL=file:///none",
		"ok       repository");
	expect_alone("NIXFLEET_REPO_DIR=$FOLDER/none NIXFLEET_REPO_URL=file:///none",
		"/none will be cloned");
}

/* What the dashboard's answer says, as the worker's probe tells it. */
Test(doctor, doctor_compares_the_clock)
{
	static const char variables[] =
		"NIXFLEET_URL=https://d NIXFLEET_TOKEN=shared-token NIXFLEET_LIBEXEC=$FOLDER/probe";
	static const struct {
		const char *date, *says;
	} cases[] = {
		{"echo date $(($(date +%s) - 3600))", "s ahead of the dashboard's: let the clock"},
		{"echo date $(($(date +%s) + 3600))", "s behind the dashboard's: let the clock"},
		{"echo date $(date +%s)", "s from the dashboard's"},
		{"echo", "the dashboard does not say what time it is"},
	};
	char text[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	cr_assert(eq(int, world_script(&world, "mkdir $FOLDER/probe", NULL), 0));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", cases[i].date);
		world_file(&world, "probe/nixfleet-worker", text, 0755);
		expect_alone(variables, cases[i].says);
	}
}

Test(doctor, doctor_measures_the_room_that_is_left)
{
	char path[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/small", world.folder);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("small", path, "tmpfs", 0, "size=32m") < 0)
		cr_skip_test("skipped: only root can mount a small disk");
	expect_alone("NIXFLEET_STATE_DIR=$FOLDER/small", "failed   space       32 MiB are free");
	cr_assert(eq(int, mount("small", path, "tmpfs", MS_REMOUNT, "size=128m"), 0));
	expect_alone("NIXFLEET_STATE_DIR=$FOLDER/small", "warning  space       128 MiB are free");
	expect_alone("NIXFLEET_STATE_DIR=$FOLDER/small", ": make room, or move NIXFLEET_STATE_DIR");
	umount2(path, MNT_DETACH);
}

Test(doctor, doctor_asks_sudo_for_exactly_what_would_run)
{
	char text[WORLD_TEXT_BYTES * 2], *said;
	if (geteuid() != 0)
		cr_skip_test("skipped: another user needs root");
	world_open(&world, NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_stub(&world, "sudo", "#!/bin/sh\ncase \"$*\" in *--rollback*) exit 1 ;; esac\n");
	snprintf(text, sizeof(text),
		"chmod 755 $FOLDER; cp $NFCTL $FOLDER/nfctl; cd $FOLDER\n"
		"export HOME=$FOLDER PATH=$FOLDER/bin:$PATH NIXFLEET_HOSTNAME=%s "
		"NIXFLEET_REPO_DIR=/nowhere NIXFLEET_MANAGER=nixos\n"
		"setpriv --reuid 65534 --regid 65534 --clear-groups ./nfctl doctor --config "
		"/dev/null --socket ./none",
		world.host);
	cr_assert(eq(int, world_script(&world, text, &said), 2));
	snprintf(text, sizeof(text),
		"ok       sudo        nixos-rebuild switch --flake /nowhere#%s", world.host);
	cr_assert(strstr(said, text) != NULL, "%s", said);
	cr_assert(
		strstr(said, "failed   sudo        nixos-rebuild --rollback switch is not allowed "
			     "without a password: give user ") != NULL,
		"%s", said);
	free(said);
}
