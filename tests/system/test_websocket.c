/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A host under its WebSocket dashboard. Each test ends with the dashboard's own list of what the
 * agent did against the protocol: it is empty. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(websocket, .fini = finish, .timeout = 120);

static void open_world(const char *options)
{
	world_open(&world, options);
	world_set(&world, "NIXFLEET_URL", "ws://127.0.0.1:%d/ws", world.port);
}

/* A number of the host, `counts.heartbeat` or `registrations`; of no host -1. */
static int number(const char *path)
{
	char name[64];
	json_t *seen = world_seen(&world);
	const json_t *at = seen;
	snprintf(name, sizeof(name), "%s", path);
	for (char *word = strtok(name, "."); word && at; word = strtok(NULL, "."))
		at = json_object_get(at, word);
	int value = seen && at ? (int)json_integer_value(at) : -1;
	json_decref(seen);
	return value;
}

struct reach {
	const char *path;
	int least;
};

static bool has_reached(struct world *unused, void *data)
{
	const struct reach *reach = data;
	(void)unused;
	return number(reach->path) >= reach->least;
}

static void reach(const char *path, int least, uint64_t ms)
{
	struct reach wanted = {path, least};
	cr_assert(world_until(&world, ms, has_reached, &wanted), "%s is %d, not %d", path,
		number(path), least);
}

static void compartment(const char *name, char status[16])
{
	json_t *seen = world_seen(&world);
	const json_t *all = json_object_get(json_object_get(seen, "heartbeat"), "update_status");
	const char *value = json_string_value(
		json_object_get(json_object_get(all, name), "status"));
	snprintf(status, 16, "%s", value ? value : "");
	json_decref(seen);
}

static bool compartment_is(struct world *unused, void *data)
{
	char name[16], status[16];
	const char *equals = strchr(data, '=');
	(void)unused;
	snprintf(
		name, sizeof(name), "%.*s", (int)(equals - (const char *)data), (const char *)data);
	compartment(name, status);
	return strcmp(status, equals + 1) == 0;
}

static void no_violations(void)
{
	json_t *seen = world_seen(&world);
	char *list = json_dumps(json_object_get(seen, "violations"), 0);
	cr_assert(eq(str, list, "[]"), "%s", list);
	free(list);
	json_decref(seen);
}

static void switch_stub(const char *body)
{
	char script[2048];
	snprintf(script, sizeof(script), "#!/bin/sh\n%s\n", body);
	world_stub(&world, "nixos-rebuild", script);
}

static void force(const char *command)
{
	char path[128], body[128];
	snprintf(path, sizeof(path), "/api/hosts/%s/command", world.host);
	snprintf(body, sizeof(body), "{\"command\":\"%s\",\"force\":true}", command);
	cr_assert(world_request(&world, "POST", path, body, NULL) < 300);
}

static void heal(void)
{
	cr_assert(world_request(&world, "DELETE", "/api/faults", NULL, NULL) < 300);
}

Test(websocket, a_host_registers_once_and_beats)
{
	open_world("");
	world_agent_start_registered(&world);
	reach("counts.heartbeat", 5, 5000);
	cr_assert(eq(int, number("registrations"), 1));
	cr_assert(eq(int, world_agent_stop(&world), 0));
	no_violations();
}

Test(websocket, a_good_switch_is_told_and_the_agent_leaves_for_its_next_start)
{
	open_world("");
	switch_stub("echo building the system configuration... >&2\necho \"built $*\"\n"
		    "echo activating the configuration... >&2\n"
		    "while [ ! -e $HOME/go ]; do sleep 0.05; done");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	/* Of a command that is over before anybody looked at it, no stage is told. */
	reach("counts.operation_progress", 3, 5000);
	world_file(&world, "go", "", 0644);
	cr_assert(eq(int, world_agent_wait(&world, 10000), 101));
	world_agent_start(&world);
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "ok");
	world_expect(&world, "output", "built switch --flake ");
	reach("registrations", 2, 5000);
	/* The new instance knows how things stand. */
	cr_assert(world_until(&world, 5000, compartment_is, "system=ok"));
	cr_assert(ge(int, number("counts.operation_progress"), 4));
	no_violations();
}

Test(websocket, a_failure_says_why_and_its_lines_keep_their_stream)
{
	open_world("");
	switch_stub("echo evaluating\necho 'error: attribute missing' >&2\nexit 3");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "error");
	world_expect(&world, "message", "error: attribute missing");
	json_t *seen = world_seen(&world);
	const json_t *row = json_array_get(json_object_get(seen, "log"), 0);
	cr_expect(eq(int, (int)json_integer_value(json_object_get(row, "exit_code")), 3));
	cr_expect(eq(int, (int)json_integer_value(json_object_get(row, "lines_stderr")), 1));
	cr_expect(eq(int, (int)json_integer_value(json_object_get(row, "lines_red")), 1));
	json_decref(seen);
	cr_assert(world_until(&world, 5000, compartment_is, "system=error"));
	no_violations();
}

Test(websocket, a_pull_moves_the_tree_and_is_not_partial)
{
	char command[WORLD_TEXT_BYTES * 2];
	open_world("");
	world_agent_start_registered(&world);
	snprintf(command, sizeof(command),
		"exec >>%s/git.log 2>&1; cd %s && git clone -q remote.git other && cd other && "
		"echo '{}' >> flake.lock && git add -A && git -c user.name=t -c "
		"user.email=t@example.org commit -q -m second && git push -q",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	world_command(&world, "pull");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "ok");
	cr_assert(world_until(&world, 3000, compartment_is, "lock=ok"));
	cr_assert(world_until(&world, 3000, compartment_is, "git=ok"));
	cr_assert(world_until(&world, 3000, compartment_is, "system=outdated"));
	no_violations();
}

Test(websocket, tests_are_told_one_by_one)
{
	char path[128];
	open_world("");
	for (int i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "repo/hosts/%s/tests/t%d.sh", world.host, i);
		world_file(&world, path, i == 2 ? "#!/bin/sh\nexit 1\n" : "#!/bin/sh\nsleep 0.3\n",
			0755);
	}
	world_agent_start_registered(&world);
	world_command(&world, "test");
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "status", "error");
	world_expect(&world, "message", "1 of 3 tests failed");
	json_t *seen = world_seen(&world);
	const json_t *progress = json_object_get(seen, "test_progress");
	cr_expect(eq(int, (int)json_integer_value(json_object_get(progress, "passed")), 2));
	bool is_over = json_is_false(json_object_get(progress, "running"));
	cr_expect(is_over);
	json_decref(seen);
	cr_expect(ge(int, number("counts.test_progress"), 3));
	no_violations();
}

Test(websocket, without_a_test_script_the_test_fails)
{
	open_world("");
	world_agent_start_registered(&world);
	world_command(&world, "test");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "error");
	world_expect(&world, "message", "no executable test script");
	no_violations();
}

Test(websocket, s25_another_command_is_rejected_and_stop_for_none_is_answered)
{
	open_world("");
	switch_stub("echo started >> $HOME/count\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\n"
		    "exit 1");
	world_agent_start_registered(&world);
	force("kill");
	reach("counts.status", 1, 5000);
	force("switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	force("pull");
	reach("counts.command_rejected", 1, 5000);
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 2, 10000);
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_expect(strstr(runs, "pull") && strstr(runs, "refused"));
	free(runs);
	no_violations();
}

Test(websocket, s14_kill_ends_a_command_that_ignores_term)
{
	open_world("");
	switch_stub("trap '' TERM\necho deaf\nwhile :; do sleep 0.1; done");
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	world_command(&world, "kill");
	world_expect_outcomes(&world, 1, 8000);
	world_expect(&world, "status", "stopped");
	world_expect(&world, "message", "ended by");
	cr_assert(eq(u32, world_survivors(&world, "FLAKE_NOT_THERE=1", NULL), 0));
	no_violations();
}

Test(websocket, s14_kill_command_of_older_dashboards_works_too)
{
	char path[128];
	open_world("");
	switch_stub("while :; do sleep 0.1; done");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	snprintf(path, sizeof(path), "/api/hosts/%s/command", world.host);
	cr_assert(world_request(&world, "POST", path,
			  "{\"command\":\"kill\",\"kill_command\":\"SIGKILL\"}", NULL) < 300);
	world_expect_outcomes(&world, 1, 5000);
	world_expect(&world, "status", "stopped");
	no_violations();
}

/* No outcome of it is told there, so the stop itself is answered, once it has ended. */
Test(websocket, s25_stop_for_a_command_of_the_hosts_own_is_answered)
{
	open_world("");
	switch_stub("while :; do sleep 0.1; done");
	world_agent_start_registered(&world);
	cr_assert(eq(int, world_nfctl(&world, "run switch", NULL), 0));
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	force("kill");
	reach("counts.status", 1, 8000);
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "cancelled") != NULL, "%s", runs);
	free(runs);
	no_violations();
}

Test(websocket, s25_stop_means_also_a_command_of_the_hosts_own_that_waits)
{
	open_world("");
	world_agent_start_registered(&world);
	cr_assert(eq(int, world_nfctl(&world, "pause", NULL), 0));
	cr_assert(eq(int, world_nfctl(&world, "run pull", NULL), 0));
	cr_assert(world_until(&world, 5000, world_status_is, "queued=1"));
	force("kill");
	reach("counts.status", 1, 5000);
	cr_assert(world_until(&world, 5000, world_status_is, "queued=0"));
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "cancelled before it started") != NULL, "%s", runs);
	free(runs);
	no_violations();
}

Test(websocket, s11_garbage_binary_and_huge_frames_change_nothing)
{
	static const char *const faults[] = {
		"{\"match\":\"heartbeat\",\"kind\":\"text_garbage\",\"count\":2}",
		"{\"match\":\"heartbeat\",\"kind\":\"binary\",\"count\":2}",
		"{\"match\":\"heartbeat\",\"kind\":\"big\",\"bytes\":614400,\"count\":2}",
	};
	open_world("");
	switch_stub("echo fine\nexit 1");
	world_agent_start_registered(&world);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		int beats = number("counts.heartbeat");
		world_fault(&world, faults[i]);
		reach("counts.heartbeat", beats + 4, 5000);
	}
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "output", "fine");
	cr_assert(eq(int, number("registrations"), 1));
	no_violations();
}

Test(websocket, s10_a_status_without_its_pong_is_told_again_after_a_heartbeat)
{
	open_world("");
	switch_stub("exit 1");
	world_agent_start_registered(&world);
	world_fault(&world, "{\"match\":\"status\",\"kind\":\"close\",\"code\":1001,\"count\":1,"
			    "\"act\":true}");
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	reach("registrations", 2, 10000);
	reach("counts.status", 2, 10000);
	cr_assert(world_until(&world, 5000, world_status_is, "owed=0"));
	no_violations();
}

Test(websocket, s08_a_half_open_connection_is_noticed)
{
	open_world("");
	world_agent_start_registered(&world);
	uint64_t since = world_ms();
	world_fault(&world, "{\"match\":\"now\",\"kind\":\"half_open\"}");
	reach("registrations", 2, 60000);
	cr_assert(lt(u64, world_ms() - since, 60000));
}

Test(websocket, s19_output_and_outcome_survive_the_worker)
{
	open_world("");
	switch_stub("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.4; done\nexit 4");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	reach("counts.output", 2, 5000);
	pid_t worker = world_worker(&world);
	cr_assert(gt(int, worker, 1));
	kill(worker, SIGKILL);
	reach("registrations", 2, 10000);
	/* The reconnect alone closes the dashboard's row: what counts is the status. */
	reach("counts.status", 1, 15000);
	cr_assert(world_until(&world, 5000, world_status_is, "owed=0"));
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_expect(strstr(runs, "delivered") != NULL);
	free(runs);
	cr_assert(ge(int, number("counts.output"), 8));
	cr_assert(world_until(&world, 5000, compartment_is, "system=error"));
}

/* The agent itself is killed: the next one adopts the runner, goes on with the output where it was,
 * and tells the true outcome. */
Test(websocket, s05_output_goes_on_under_the_next_agent)
{
	open_world("");
	switch_stub("i=0; while [ ! -e $HOME/go ]; do i=$((i+1)); echo line $i; sleep 0.1; done; "
		    "echo last; exit 4");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	char sent[WORLD_TEXT_BYTES];
	snprintf(sent, sizeof(sent), "state/sent");
	cr_assert(world_until(&world, 10000, world_has_file, sent));
	int lines = number("counts.output");
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
	world_agent_start(&world);
	reach("registrations", 2, 10000);
	reach("counts.output", lines + 5, 10000);
	world_file(&world, "go", "", 0644);
	reach("counts.status", 1, 10000);
	cr_assert(world_until(&world, 5000, world_status_is, "owed=0"));
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_expect(strstr(runs, "delivered") && strstr(runs, "exited 4"), "%s", runs);
	free(runs);
	/* Some lines may come twice, from the last note of what was sent on; not all of them. */
	struct stat info;
	char path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "%s/state/sent", world.folder);
	cr_expect(stat(path, &info) == 0 && info.st_size > 20);
}

Test(websocket, a_failure_that_nobody_saw_is_a_red_line_and_a_compartment)
{
	open_world("");
	switch_stub("echo begun\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\n"
		    "echo 'error: broken' >&2\nexit 1");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	reach("counts.output", 1, 5000);
	world_fault(
		&world, "{\"match\":\"upgrade\",\"kind\":\"code\",\"status\":503,\"count\":1000}");
	world_fault(&world, "{\"match\":\"now\",\"kind\":\"close\",\"code\":1001}");
	world_file(&world, "go", "", 0644);
	cr_assert(world_until(&world, 5000, world_status_is, "owed=1"));
	heal();
	reach("registrations", 2, 10000);
	cr_assert(world_until(&world, 10000, world_status_is, "owed=0"));
	cr_assert(world_until(&world, 5000, compartment_is, "system=error"));
	char *log = world_log(&world);
	cr_assert(strstr(log, "line command=switch text=") != NULL);
	free(log);
}

Test(websocket, another_connection_of_the_same_name_is_no_ping_pong)
{
	open_world("");
	world_agent_start_registered(&world);
	world_fault(&world, "{\"match\":\"now\",\"kind\":\"evict\"}");
	reach("counts.evicted", 1, 5000);
	cr_assert(world_until(&world, 5000, world_status_is, "link_name=waiting"));
	char *status;
	world_nfctl(&world, "status", &status);
	cr_assert(strstr(status, "evicted by another connection for this host name") != NULL, "%s",
		status);
	free(status);
	reach("registrations", 2, 15000);
}

Test(websocket, a_refused_upgrade_is_no_end)
{
	open_world("");
	world_fault(&world, "{\"match\":\"upgrade\",\"kind\":\"code\",\"status\":503,\"count\":2}");
	world_agent_start_registered(&world);
	cr_assert(eq(int, world_agent_stop(&world), 0));
	world_set(&world, "NIXFLEET_TOKEN", "wrong");
	world_agent_start(&world);
	cr_assert(
		world_until(&world, 10000, world_status_is, "why=the dashboard refuses the token"));
	cr_assert(eq(int, world_agent_stop(&world), 0));
	no_violations();
}

static bool requests_say(struct world *unused, void *needle)
{
	char path[WORLD_TEXT_BYTES], line[8192];
	bool found = false;
	(void)unused;
	snprintf(path, sizeof(path), "%s/requests", world.folder);
	FILE *file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, needle) != NULL;
	if (file)
		fclose(file);
	return found;
}

/* Three megabytes of output while nobody listens: the newest quarter of one is sent, and how much
 * is not. */
Test(websocket, a_long_backlog_is_cut_and_the_page_says_so)
{
	open_world("");
	switch_stub("echo begun\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\n"
		    "i=0; while [ $i -lt 40000 ]; do echo "
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx$i; "
		    "i=$((i+1)); "
		    "done\ntouch $HOME/printed\n"
		    "while [ ! -e $HOME/end ]; do sleep 0.05; done\nexit 1");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	reach("counts.output", 1, 5000);
	world_fault(
		&world, "{\"match\":\"upgrade\",\"kind\":\"code\",\"status\":503,\"count\":1000}");
	world_fault(&world, "{\"match\":\"now\",\"kind\":\"close\",\"code\":1001}");
	world_file(&world, "go", "", 0644);
	cr_assert(world_until(&world, 20000, world_has_file, "printed"));
	heal();
	reach("registrations", 2, 10000);
	cr_assert(world_until(&world, 10000, requests_say, "bytes of output are left out]"));
	cr_assert(world_until(&world, 10000, requests_say, "x39999"));
	cr_expect(lt(int, number("counts.output"), 6000));
	cr_expect(gt(int, number("counts.output"), 2000));
	world_file(&world, "end", "", 0644);
	cr_assert(world_until(&world, 10000, world_status_is, "owed=0"));
	reach("counts.status", 1, 5000);
}

/* Whatever a command prints becomes legal frames, and each of its lines arrives: all of it is less
 * than the backlog of which only the newest is sent. */
Test(websocket, s17_any_output_arrives_as_legal_frames)
{
	open_world("");
	world_stub(&world, "nixos-rebuild",
		"#!/usr/bin/env python3\n"
		"import sys\n"
		"out = sys.stdout.buffer\n"
		"out.write(b'\\n' * 9000)\n"
		"out.write(b'\\x1b[31mred\\x1b[0m\\nnul \\0 here\\nbad \\xff\\xfe\\n')\n"
		"out.write(b'x' * (960 << 10) + b'\\n')\n"
		"out.write(b'the end')\n"
		"sys.exit(1)\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "status", "error");
	json_t *seen = world_seen(&world);
	const json_t *row = json_array_get(json_object_get(seen, "log"), 0);
	int lines = (int)json_integer_value(json_object_get(row, "lines"));
	/* The long line in pieces of 16 KiB. */
	cr_expect(lines == 9000 + 3 + 60 + 1, "%d lines", lines);
	json_decref(seen);

	cr_assert(eq(int, number("registrations"), 1));
	no_violations();
}

Test(websocket, a_dashboard_that_does_not_read_slows_no_command)
{
	open_world("");
	switch_stub(
		"i=0; while [ $i -lt 300000 ]; do echo "
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx$i; i=$((i+1)); "
		"done\ntouch $HOME/done\nexit 1");
	world_agent_start_registered(&world);
	world_fault(&world, "{\"match\":\"now\",\"kind\":\"stop_reading\"}");
	force("switch");
	cr_assert(world_until(&world, 20000, world_has_file, "done"));
	heal();
	cr_assert(world_until(&world, 90000, world_status_is, "owed=0"));
}

static bool has_commit(struct world *unused, void *wanted)
{
	(void)unused;
	json_t *seen = world_seen(&world);
	const json_t *beat = json_object_get(seen, "heartbeat");
	const char *commit = json_string_value(json_object_get(beat, "generation"));
	bool is = commit && strlen(commit) == 7 && strncmp(commit, wanted, 7) == 0;
	json_decref(seen);
	return is;
}

/* Isolated mode: the host registers at once and has its clone soon after; a command that comes
 * meanwhile waits for it. */
Test(websocket, the_agents_own_clone_is_made_unasked)
{
	char commit[64] = "", command[WORLD_TEXT_BYTES];
	open_world("");
	world_set(&world, "NIXFLEET_REPO_URL", "%s/remote.git", world.folder);
	world_set(&world, "NIXFLEET_REPO_DIR", "%s/state/clone", world.folder);
	snprintf(command, sizeof(command), "git -C %s/remote.git rev-parse main", world.folder);
	FILE *pipe = popen(command, "r");
	cr_assert(pipe && fgets(commit, sizeof(commit), pipe));
	pclose(pipe);
	/* A git that takes its time over the clone. */
	snprintf(command, sizeof(command),
		"#!/bin/sh\ncase $1 in clone) sleep 1.5;; esac\nPATH=${PATH#*:} exec git \"$@\"\n");
	world_stub(&world, "git", command);
	world_agent_start_registered(&world);
	cr_assert(eq(int, number("registrations"), 1));
	world_command(&world, "pull");
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "status", "ok");
	cr_assert(world_until(&world, 5000, has_commit, commit));
	char *log = world_log(&world);
	cr_expect(strstr(log, "probe id=") != NULL);
	cr_expect(strstr(log, "name=clone") != NULL);
	free(log);
	no_violations();
}

/* In isolated mode, with a git that hangs in its first clone: it says who started it. */
static void start_hanging_clone(const char *deadline_s)
{
	char script[WORLD_TEXT_BYTES * 2];
	static char file[] = "cloning";
	open_world("");
	world_set(&world, "NIXFLEET_REPO_URL", "%s/remote.git", world.folder);
	world_set(&world, "NIXFLEET_REPO_DIR", "%s/state/clone", world.folder);
	world_set(&world, "NIXFLEET_TIMEOUT_CLONE", "%s", deadline_s);
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
	snprintf(script, sizeof(script),
		"#!/bin/sh\ncd %s\nif [ \"$1\" = clone ] && [ ! -e cloning ]; then echo $PPID "
		">new; "
		"mv new cloning; sleep 4; touch written; fi\nPATH=${PATH#*:} exec git \"$@\"\n",
		world.folder);
	world_stub(&world, "git", script);
	world_agent_start_registered(&world);
	cr_assert(world_until(&world, 10000, world_has_file, file));
}

Test(websocket, the_agents_own_clone_ends_with_the_agent)
{
	static char file[] = "written";
	start_hanging_clone("60");
	cr_assert(eq(int, world_agent_stop(&world), 0));
	cr_assert(not(world_until(&world, 6000, world_has_file, file)));
}

Test(websocket, a_look_whose_runner_hangs_holds_no_command_for_ever)
{
	char command[WORLD_TEXT_BYTES];
	start_hanging_clone("2");
	snprintf(command, sizeof(command), "kill -STOP $(cat %s/cloning)", world.folder);
	cr_assert(eq(int, system(command), 0));
	world_command(&world, "pull");
	world_expect_outcomes(&world, 1, 2000 + TREE_EMPTY_MS + RUNNER_OVERDUE_MS + 10000);
	world_expect(&world, "status", "ok");
	no_violations();
}
