/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the supervisor keeps on the disk: a disk that hangs or refuses, many records, foreign ones,
 * and runners of an agent before. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/record.h"
#include "tests/system/world.h"

static struct world world;
static char mounted[WORLD_TEXT_BYTES]; /* a disk of our own, perhaps frozen; empty: none */
static pid_t tracer;

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *format, ...)
{
	char command[WORLD_TEXT_BYTES * 2];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static void stop_tracing(void)
{
	if (tracer > 0) {
		kill(tracer, SIGTERM);
		waitpid(tracer, NULL, 0);
	}
	tracer = 0;
}

static void finish(void)
{
	stop_tracing();
	if (mounted[0])
		shell("fsfreeze -u %s 2>/dev/null; umount -l %s", mounted, mounted);
	world_close(&world);
}

TestSuite(store, .fini = finish, .timeout = 120);

/* nfctl status --json: the member's text, or "". */
static bool status_says(struct world *at, void *needle)
{
	char *output;
	world_nfctl(at, "status --json", &output);
	bool found = output && strstr(output, needle) != NULL;
	free(output);
	return found;
}

/* A loop device that can be frozen holds the state folder. */
static void open_on_own_disk(void)
{
	world_open(&world, "");
	int done = shell("cd %s && truncate -s 24M disk && mkfs.ext4 -q -F disk 2>/dev/null && "
			 "mount -o loop disk state 2>/dev/null && chmod 700 state",
		world.folder);
	if (done != 0)
		cr_skip_test("skipped: no loop device can be mounted here");
	snprintf(mounted, sizeof(mounted), "%s/state", world.folder);
}

Test(store, s18_a_disk_that_hangs_is_named_while_the_command_waits_and_nothing_is_claimed)
{
	int one = 1;
	char *output, text[WORLD_TEXT_BYTES];
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can freeze a disk");
	open_on_own_disk();
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\nexit 3\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	cr_assert(eq(int, shell("fsfreeze -f %s", mounted), 0));
	world_command(&world, "switch");
	/* The act, its run and how long it hangs, from memory and at once. */
	cr_assert(world_until(&world, 15000, status_says, "accept a command"));
	for (int i = 0; i < 20; i++) {
		uint64_t start = world_ms();
		world_nfctl(&world, "status", &output);
		cr_assert(strstr(output, "the disk hangs for") != NULL, "%s", output);
		/* 100 ms are the agent's; a busy machine needs some for the shell and nfctl. */
		cr_assert(lt(u64, world_ms() - start, 500));
		free(output);
	}
	cr_assert(eq(int, world_nfctl(&world, "why", &output), 1));
	cr_assert(strstr(output, "the disk, to accept a command 20") != NULL, "%s", output);
	free(output);
	cr_assert(not(world_has_file(&world, "ran")), "it ran before it was safe");
	char *log = world_log(&world);
	cr_assert(strstr(log, "accepted id=") == NULL, "said to be safe: %s", log);
	free(log);
	cr_assert(eq(int, shell("fsfreeze -u %s", mounted), 0));
	cr_assert(world_until(&world, 90000, world_has_outcomes, &one));
	cr_assert(eq(str, (char *)world_outcome(&world, "status", text), "error"));
	cr_assert(world_has_file(&world, "ran"));
}

/* What it was to write is a state that nobody knows of any more. */
Test(store, s18_a_pause_that_the_disk_held_up_is_not_set_once_its_agent_is_gone)
{
	char *output;
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can freeze a disk");
	open_on_own_disk();
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	cr_assert(eq(int, shell("fsfreeze -f %s", mounted), 0));
	pid_t asking = fork();
	if (asking == 0) {
		world_nfctl(&world, "pause", NULL);
		_exit(0);
	}
	cr_assert(world_until(&world, 15000, status_says, "the disk hangs for"));
	kill(world.agent, SIGKILL);
	cr_assert(eq(int, world_agent_wait(&world, 5000), 1000 + SIGKILL));
	waitpid(asking, NULL, 0);
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	cr_assert(eq(int, shell("fsfreeze -u %s", mounted), 0));
	poll(NULL, 0, 1000);
	cr_assert(eq(int, world_agent_stop(&world), 0));
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_status_is, "health=0"));
	world_nfctl(&world, "status", &output);
	cr_assert(strstr(output, "paused") == NULL, "%s", output);
	free(output);
}

/* Every fsync of the agent and its children fails while it is traced. */
static void trace_failing(const char *what)
{
	char pid[16], inject[64];
	snprintf(pid, sizeof(pid), "%d", (int)world.agent);
	snprintf(inject, sizeof(inject), "inject=%s", what);
	tracer = fork();
	if (tracer == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execlp("strace", "strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,pwrite64",
			"-e", inject, "-p", pid, (char *)NULL);
		_exit(127);
	}
}

static bool is_traced(struct world *at, void *unused)
{
	char path[64], line[256];
	bool traced = false;
	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)at->agent);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		int by;
		traced = traced || (sscanf(line, "TracerPid: %d", &by) == 1 && by > 0);
	}
	if (file)
		fclose(file);
	return traced;
}

static void expect_refused_then_healed(const char *fault, const char *says)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	if (shell("strace -o /dev/null true 2>/dev/null") != 0)
		cr_skip_test("skipped: strace cannot trace here");
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\nexit 3\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	trace_failing(fault);
	cr_assert(world_until(&world, 10000, is_traced, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, status_says, (void *)says));
	cr_assert(not(world_has_file(&world, "ran")), "it ran before it was safe");
	stop_tracing();
	cr_assert(world_until(&world, 45000, world_has_outcomes, &one));
	cr_assert(eq(str, (char *)world_outcome(&world, "status", text), "error"));
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
}

Test(store, s18_an_fsync_that_fails_is_said_and_tried_until_it_works)
{
	expect_refused_then_healed("fsync,fdatasync:error=EIO", "fsync of the record");
}

Test(store, s18_a_full_disk_is_said_and_tried_until_it_works)
{
	expect_refused_then_healed("pwrite64:error=ENOSPC", "write of the record");
}

/* ---- runners of an agent before ---- */

static pid_t child_named(const char *name)
{
	char text[32] = "";
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t found = 0;
	while (proc && (entry = readdir(proc))) {
		char path[300], line[4096] = "";
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		FILE *file = fopen(path, "re");
		if (!file)
			continue;
		bool is_it = fgets(text, sizeof(text), file) &&
			     strncmp(text, name, strlen(name)) == 0;
		fclose(file);
		snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
		int fd = is_it ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		ssize_t size = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;
		if (fd >= 0)
			close(fd);
		if (size > 0 && memmem(line, (size_t)size, world.host, strlen(world.host)))
			found = (pid_t)atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

static void write_url(const char *address)
{
	char text[WORLD_TEXT_BYTES];
	snprintf(text, sizeof(text), "NIXFLEET_URL=http://%s:%d\n", address, world.port);
	world_file(&world, "agent.conf", text, 0600);
}

/* The dashboard that is named in the only record; empty: none is. */
static bool has_dashboard(struct world *at, void *url)
{
	char path[WORLD_TEXT_BYTES * 2];
	struct record record = {.state = RECORD_EMPTY};
	glob_t found;
	snprintf(path, sizeof(path), "%s/state/runs/*.run", at->folder);
	if (glob(path, 0, NULL, &found) != 0)
		return false;
	int fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	globfree(&found);
	bool is_read = fd >= 0 && record_read(fd, &record) == 0;
	close(fd);
	snprintf(url, WORLD_TEXT_BYTES, "%.500s", record.dashboard);
	return is_read && record.state != RECORD_EMPTY;
}

Test(store, a_command_is_recorded_for_the_dashboard_that_gave_it)
{
	char text[WORLD_TEXT_BYTES], url[WORLD_TEXT_BYTES];
	if (shell("strace -o /dev/null true 2>/dev/null") != 0)
		cr_skip_test("skipped: strace cannot trace here");
	world_open(&world, "");
	snprintf(text, sizeof(text),
		"#!/bin/sh\nunset NIXFLEET_URL\nexec \"$1\" --config %s/agent.conf\n",
		world.folder);
	world_file(&world, "launch", text, 0755);
	snprintf(world.launcher, sizeof(world.launcher), "%s/launch", world.folder);
	write_url("127.0.0.1");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	pid_t worker = world_worker(&world);
	trace_failing("pwrite64:error=ENOSPC");
	cr_assert(world_until(&world, 10000, is_traced, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, status_says, (void *)"write of the record"));
	write_url("localhost");
	kill(world.agent, SIGHUP);
	cr_assert(world_until(&world, 20000, world_has_another_worker, &worker));
	cr_assert(world_until(&world, 20000, world_status_is, "worker=up"));
	stop_tracing();
	cr_assert(world_until(&world, 45000, has_dashboard, url));
	snprintf(text, sizeof(text), "http://127.0.0.1:%d", world.port);
	cr_assert(eq(str, url, text));
}

static void kill_agent(void)
{
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
}

static json_int_t run_number(const char *field)
{
	json_t *status = world_status(&world);
	json_int_t value = json_integer_value(
		json_object_get(json_array_get(json_object_get(status, "runs"), 0), field));
	json_decref(status);
	return value;
}

Test(store, an_adopted_runner_keeps_its_clock_and_its_end_is_seen_at_once)
{
	int one = 1;
	world_open(&world, "");
	world_set(&world, "NIXFLEET_TIMEOUT_SWITCH", "77");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\ntouch $HOME/running\nwhile [ ! -e $HOME/go ]; do sleep 0.02; "
		"done\nexit 6\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 15000, world_has_file, "running"));
	uint64_t began = world_ms();
	kill_agent();
	while (world_ms() - began < 2500)
		world_until(&world, 100, world_has_file, "never");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_status_is, "health=0"));
	cr_assert(ge(i64, run_number("elapsed_ms"), 2500));
	cr_assert(lt(i64, run_number("elapsed_ms"), 2500 + 20000));
	cr_assert(eq(i64, run_number("deadline_ms"), 77000));
	world_file(&world, "go", "", 0644);
	uint64_t ended = world_ms();
	cr_assert(world_until(&world, 5000, world_has_outcomes, &one));
	cr_assert(lt(u64, world_ms() - ended, 2000));
}

/* Ended, if perhaps not yet reaped by whoever has it now. */
static bool is_gone(pid_t pid)
{
	char path[64], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return true;
	int found = fscanf(file, "%*d (%*[^)]) %c", &state);
	fclose(file);
	return found == 1 && state == 'Z';
}

Test(store, s14_a_stopped_adopted_runner_is_ended_after_its_limits)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_set(&world, "NIXFLEET_TIMEOUT_PULL", "2");
	world_stub(&world, "git", "#!/bin/sh\ntouch $HOME/running\nsleep 1000\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	world_command(&world, "pull");
	cr_assert(world_until(&world, 15000, world_has_file, "running"));
	pid_t runner = child_named("nixfleet-runner");
	cr_assert(runner > 1);
	cr_assert(eq(int, kill(runner, SIGSTOP), 0));
	kill_agent();
	world_agent_start(&world);
	/* Deadline, grace, tree and what the runner may be late, as limits.h has them. */
	cr_assert(world_until(&world,
		2000 + COMMAND_GRACE_MS + TREE_EMPTY_MS + RUNNER_OVERDUE_MS + 15000,
		world_has_outcomes, &one));
	cr_assert(strstr(world_outcome(&world, "comment", text), "pull") != NULL, "%s", text);
	cr_assert(is_gone(runner));
}

/* ---- many records, and strange ones ---- */

/* A record with that number in its name. */
static void write_frames(uint32_t number, const struct record_frame *frames, int count)
{
	char path[WORLD_TEXT_BYTES];
	struct record record = {.state = RECORD_EMPTY};
	snprintf(path, sizeof(path), "%s/state/runs/20260101T000000Z-pull-%04x.run", world.folder,
		number);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && record_reserve(fd) == 0);
	for (int i = 0; i < count; i++)
		cr_assert(record_append(fd, &record, &frames[i]) == 0);
	close(fd);
}

static struct record_frame ended_well(void)
{
	return (struct record_frame){.type = RECORD_RESULT,
		.result = {.outcome = OUTCOME_EXITED,
			.reason = TEXT_NONE,
			.summary = TEXT_NONE,
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
}

static void write_record(uint32_t number, bool is_delivered)
{
	const struct record_frame frames[] = {
		{.type = RECORD_ACCEPTED,
			.accepted = {.sequence = number,
				.command = text_of("pull"),
				.origin = is_delivered ? ORIGIN_DASHBOARD : ORIGIN_LOCAL,
				.dashboard = TEXT_NONE}},
		ended_well(),
		{.type = RECORD_DELIVERED},
	};
	write_frames(number, frames, 2 + is_delivered);
}

static void make_runs_folder(void)
{
	cr_assert(eq(int,
		shell("chmod 700 %s/state && mkdir -m 700 %s/state/runs", world.folder,
			world.folder),
		0));
}

static uint32_t count_records(void)
{
	char path[WORLD_TEXT_BYTES];
	uint32_t count = 0;
	const struct dirent *entry;
	snprintf(path, sizeof(path), "%s/state/runs", world.folder);
	DIR *folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		count += strstr(entry->d_name, ".run") != NULL;
	if (folder)
		closedir(folder);
	return count;
}

static bool has_few_records(struct world *at, void *most)
{
	(void)at;
	return count_records() <= *(uint32_t *)most;
}

Test(store, two_hundred_records_hold_no_start_up_and_more_are_removed)
{
	uint32_t most = RUNS_KEPT_MAX;
	char *output;
	world_open(&world, "");
	make_runs_folder();
	for (uint32_t i = 1; i <= RUNS_KEPT_MAX + 40; i++)
		write_record(i, i % 2 == 0);
	uint64_t start = world_ms();
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	uint64_t took = world_ms() - start;
	cr_log_info("registered after %u ms", (unsigned)took);
	/* A tenth of this in a release build; sanitizers and a busy machine cost the rest. */
	cr_assert(lt(u64, took, 1500));
	cr_assert(eq(int, world_nfctl(&world, "runs", &output), 0));
	cr_assert(strstr(output, "20260101T000000Z-pull-00f0") != NULL, "the newest: %s", output);
	free(output);
	world_nfctl(&world, "run pull --wait", &output);
	free(output);
	cr_assert(world_until(&world, 10000, has_few_records, &most));
}

/* What the dashboard handed out, by its number: ended, or waiting to begin. */
static void write_owed(uint32_t number, const char *command, bool has_ended)
{
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", world.port);
	const struct record_frame frames[] = {
		{.type = RECORD_ACCEPTED,
			.accepted = {.sequence = number,
				.command = text_of(command),
				.origin = ORIGIN_DASHBOARD,
				.dashboard = text_of(url)}},
		ended_well(),
	};
	write_frames(number, frames, 1 + has_ended);
}

/* More outcomes than are read at once: the newest end of another command among them is read
 * besides, and leaves the others their limit. */
Test(store, more_outcomes_than_fit_leave_room_for_a_command)
{
	char *output;
	world_open(&world, "");
	world_dashboard_stop(&world);
	make_runs_folder();
	for (uint32_t i = 1; i <= RUNS_KNOWN_MAX + 8; i++)
		write_owed(i, i == RUNS_KNOWN_MAX - 14 ? "test" : "pull", true);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "owed=57"));
	cr_assert(eq(int, world_nfctl(&world, "run pull --wait", &output), 0), "%s", output);
	free(output);
}

/* It is older than what was refused since, and younger than what fits of the outcomes. */
Test(store, a_command_that_waits_among_many_outcomes_is_run)
{
	world_open(&world, "");
	world_dashboard_stop(&world);
	make_runs_folder();
	for (uint32_t i = 1; i <= RUNS_KNOWN_MAX + 8; i++)
		write_owed(i, i == RUNS_KNOWN_MAX - 4 ? "test" : "pull", i != RUNS_KNOWN_MAX - 4);
	world_agent_start(&world);
	cr_assert(world_until(
		&world, 10000, world_has_file, "state/runs/20260101T000000Z-pull-003c.out"));
}

static uint64_t start_ticks(pid_t pid)
{
	char path[64];
	unsigned long long ticks = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	cr_assert(file && fscanf(file,
				  "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u "
				  "%*u %*d %*d %*d %*d %*d %*d %llu",
				  &ticks) == 1);
	fclose(file);
	return ticks;
}

static void read_boot_id(char boot[64])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	cr_assert(file && fscanf(file, "%63s", boot) == 1);
	fclose(file);
}

/* Its runner stays with what could not be ended, and newer records stand before it. */
static void write_leftover(uint32_t number, pid_t pid)
{
	char boot[64];
	read_boot_id(boot);
	const struct record_frame frames[] = {
		{.type = RECORD_ACCEPTED,
			.accepted = {.sequence = number,
				.command = text_of("pull"),
				.origin = ORIGIN_LOCAL,
				.dashboard = TEXT_NONE}},
		{.type = RECORD_STARTED,
			.started = {.pid = (uint64_t)pid,
				.start_ticks = start_ticks(pid),
				.boot = text_of(boot),
				.cgroup = TEXT_NONE,
				.deadline_ms = 1000}},
		{.type = RECORD_RESULT,
			.result = {.outcome = OUTCOME_TIMED_OUT,
				.reason = TEXT_NONE,
				.summary = TEXT_NONE,
				.method = TEXT_NONE,
				.left_count = 1,
				.left = TEXT_NONE}},
	};
	write_frames(number, frames, 3);
}

Test(store, what_an_old_command_left_holds_the_place_also_after_a_restart)
{
	char *output;
	world_open(&world, "");
	make_runs_folder();
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	write_leftover(1, pid);
	for (uint32_t i = 2; i < 14; i++)
		write_record(i, true);
	world_agent_start(&world);
	cr_assert(world_until(&world, 15000, world_is_registered, NULL));
	world_nfctl(&world, "run pull", &output);
	free(output);
	bool has_begun = world_until(&world, 1500, world_status_is, "queued=0");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert(not(has_begun));
	cr_assert(world_until(&world, 5000, world_status_is, "queued=0"));
}

/* A reboot that was announced now, by a runner of that age. */
static void write_reboot(uint64_t ticks)
{
	char path[WORLD_TEXT_BYTES], boot[64];
	struct record record = {.state = RECORD_EMPTY};
	read_boot_id(boot);
	snprintf(
		path, sizeof(path), "%s/state/runs/20260101T000000Z-reboot-0001.run", world.folder);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && record_reserve(fd) == 0);
	const struct record_frame frames[] = {
		{.type = RECORD_ACCEPTED,
			.accepted = {.sequence = 1,
				.command = text_of("reboot"),
				.origin = ORIGIN_LOCAL,
				.dashboard = TEXT_NONE}},
		{.type = RECORD_STARTED,
			.started = {.start_ticks = ticks,
				.boot = text_of(boot),
				.cgroup = TEXT_NONE,
				.mono_ms = world_ms(),
				.deadline_ms = 60000}},
		ended_well(),
	};
	for (int i = 0; i < 3; i++)
		cr_assert(record_append(fd, &record, &frames[i]) == 0);
	close(fd);
}

static bool is_rebooted(struct world *at, void *unused)
{
	(void)unused;
	return shell("test -e %s/rebooted", at->folder) == 0;
}

/* A container has the boot id of its machine also after it was started anew. */
Test(store, a_reboot_is_not_done_again_where_the_first_process_is_younger)
{
	uint64_t first = start_ticks(1);
	if (first == 0)
		cr_skip_test("skipped: the first process began with the clock");
	for (int was_started_anew = 0; was_started_anew < 2; was_started_anew++) {
		char script[WORLD_TEXT_BYTES * 2];
		world_open(&world, "");
		make_runs_folder();
		snprintf(script, sizeof(script), "#!/bin/sh\ntouch %s/rebooted\n", world.folder);
		world_stub(&world, "reboot", script);
		write_reboot(was_started_anew ? first - 1 : start_ticks(getpid()));
		world_agent_start(&world);
		cr_assert(world_until(&world, 15000, world_is_registered, NULL));
		bool is_done = world_until(&world, 8000, is_rebooted, NULL);
		cr_assert(eq(int, is_done, !was_started_anew));
		world_close(&world);
	}
}

/* A command that its runner did not end, of that age and of this boot. */
static void write_begun(const char *path, uint64_t ticks)
{
	char boot[64];
	struct record record = {.state = RECORD_EMPTY};
	read_boot_id(boot);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && record_reserve(fd) == 0);
	const struct record_frame frames[] = {
		{.type = RECORD_ACCEPTED,
			.accepted = {.sequence = 1,
				.command = text_of("pull"),
				.origin = ORIGIN_LOCAL,
				.dashboard = TEXT_NONE}},
		{.type = RECORD_STARTED,
			.started = {.pid = 4194303,
				.start_ticks = ticks,
				.boot = text_of(boot),
				.cgroup = TEXT_NONE,
				.mono_ms = world_ms(),
				.deadline_ms = 60000}},
	};
	for (int i = 0; i < 2; i++)
		cr_assert(record_append(fd, &record, &frames[i]) == 0);
	close(fd);
}

struct ending {
	char path[WORLD_TEXT_BYTES];
	enum outcome outcome;
};

static bool has_ending(struct world *at, void *data)
{
	struct ending *ending = data;
	struct record record;
	(void)at;
	int fd = open(ending->path, O_RDONLY | O_CLOEXEC);
	bool is_read = fd >= 0 && record_read(fd, &record) == 0;
	close(fd);
	ending->outcome = is_read ? record.outcome : OUTCOME_NONE;
	return ending->outcome != OUTCOME_NONE;
}

Test(store, s24_a_container_that_was_started_anew_has_interrupted_its_command)
{
	uint64_t first = start_ticks(1);
	if (first == 0)
		cr_skip_test("skipped: the first process began with the clock");
	for (int was_started_anew = 0; was_started_anew < 2; was_started_anew++) {
		struct ending ending;
		world_open(&world, "");
		make_runs_folder();
		snprintf(ending.path, sizeof(ending.path),
			"%s/state/runs/20260101T000000Z-pull-0001.run", world.folder);
		write_begun(ending.path, was_started_anew ? first - 1 : start_ticks(getpid()));
		world_agent_start(&world);
		cr_assert(world_until(&world, 15000, has_ending, &ending));
		cr_assert(eq(int, (int)ending.outcome,
			was_started_anew ? OUTCOME_INTERRUPTED : OUTCOME_LOST));
		world_close(&world);
	}
}

Test(store, s28_a_torn_record_is_used_a_newer_one_is_left_and_garbage_is_set_aside)
{
	char path[WORLD_TEXT_BYTES];
	/* A whole frame of the type 99. */
	static const uint8_t newer[] = {0, 0, 0, 2, 0xfd, 0x38, 0x99, 0x46, 0x91, 0x63};
	world_open(&world, NULL);
	make_runs_folder();
	write_record(1, false);
	write_record(2, false);
	write_record(3, false);
	/* The last frame of the second is torn; after the third's comes one that nobody knows. */
	snprintf(path, sizeof(path), "%s/state/runs/20260101T000000Z-pull-0002.run", world.folder);
	struct record record;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(record_read(fd, &record) == 0);
	cr_assert(pwrite(fd, "x", 1, record.bytes - 1) == 1);
	close(fd);
	snprintf(path, sizeof(path), "%s/state/runs/20260101T000000Z-pull-0003.run", world.folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(record_read(fd, &record) == 0);
	cr_assert(pwrite(fd, newer, sizeof(newer), record.bytes) == (ssize_t)sizeof(newer));
	close(fd);
	world_file(&world, "state/runs/20260101T000000Z-pull-0004.run", "garbage", 0600);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	/* The torn one has lost its result: nothing of it ran, so it is started. */
	cr_assert(world_until(&world, 10000, status_says, "pull-0002"));
	cr_assert(world_until(&world, 10000, status_says, "pull-0001"));
	snprintf(path, sizeof(path), "%s/state/runs/20260101T000000Z-pull-0003.run", world.folder);
	cr_assert(eq(int, access(path, F_OK), 0), "a newer record is left in its place");
	cr_assert(world_until(
		&world, 10000, world_has_file, "state/runs/20260101T000000Z-pull-0004.aside"));
	char *log = world_log(&world);
	cr_assert(strstr(log, "pull-0004") != NULL, "%s", log);
	free(log);
}
