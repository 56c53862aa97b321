/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl, asked what people and their scripts ask it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

TestSuite(nfctl, .fini = finish, .timeout = 90);

static void begin(const char *dashboard)
{
	world_open(&world, dashboard);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
}

/* nfctl with these words exits so and says this. */
static void expect(const char *words, int code, const char *said)
{
	char *output;
	int got = world_nfctl(&world, words, &output);
	cr_assert(eq(int, got, code), "%s: %s", words, output);
	cr_assert(strstr(output, said) != NULL, "%s: %s", words, output);
	free(output);
}

/* The agent's next start takes this file of the world's folder for its configuration. */
static void configure_by(const char *name)
{
	char text[WORLD_TEXT_BYTES * 2];
	snprintf(text, sizeof(text), "#!/bin/sh\nexec \"$1\" --config %s/%s\n", world.folder, name);
	world_file(&world, "launch", text, 0755);
	snprintf(world.launcher, sizeof(world.launcher), "%s/launch", world.folder);
}

/* A shell script whose $NFCTL is nfctl and $FOLDER the world's; its exit code. */
static int script(const char *text, char **output)
{
	char path[WORLD_TEXT_BYTES], whole[WORLD_TEXT_BYTES * 4], answer[65536] = "";
	snprintf(whole, sizeof(whole), "#!/bin/bash\nFOLDER=%s NFCTL=%s/supervisor/nfctl/nfctl\n%s",
		world.folder, getenv("NIXFLEET_BUILD"), text);
	world_file(&world, "script", whole, 0755);
	snprintf(path, sizeof(path), "%s/script 2>&1", world.folder);
	FILE *pipe = popen(path, "r");
	cr_assert(pipe != NULL);
	size_t size = fread(answer, 1, sizeof(answer) - 1, pipe);
	answer[size] = '\0';
	int status = pclose(pipe);
	if (output)
		*output = strdup(answer);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static char *content(const char *name)
{
	char path[WORLD_TEXT_BYTES];
	static char text[65536];
	snprintf(path, sizeof(path), "%s/%s", world.folder, name);
	FILE *file = fopen(path, "r");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[size] = '\0';
	if (file)
		fclose(file);
	return text;
}

static bool watched(struct world *unused, void *needle)
{
	(void)unused;
	return strstr(content("watch.txt"), needle) != NULL;
}

Test(nfctl, watch_says_each_change_once_and_outlives_the_agent)
{
	char *said;
	begin(NULL);
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "status --watch > %s/watch.txt & echo $!", world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, &said), 0));
	pid_t pid = (pid_t)atoi(said);
	free(said);
	cr_assert(gt(int, pid, 1));
	cr_assert(world_until(&world, 5000, watched, "all is well"));
	expect("run switch --wait", 0, "exited 0");
	cr_assert(
		world_until(&world, 5000, watched, "ended: exited 0"), "%s", content("watch.txt"));
	world_agent_stop(&world);
	cr_assert(world_until(&world, 5000, watched, "the agent is not running"));
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	poll(NULL, 0, 1500); /* a few looks at which nothing is new */
	cr_assert(eq(int, kill(pid, SIGINT), 0));
	/* Nothing is said twice in a row. */
	char *last = "", *line = strtok(content("watch.txt"), "\n");
	for (; line; line = strtok(NULL, "\n")) {
		cr_assert(gt(sz, strlen(line), 21));
		cr_assert(ne(int, strcmp(line + 21, last), 0), "twice: %s", line);
		last = line + 21;
	}
}

Test(nfctl, watch_as_json_is_a_value_a_line)
{
	char *said;
	begin(NULL);
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "status --watch --json > %s/watch.txt & echo $!",
		world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, &said), 0));
	pid_t pid = (pid_t)atoi(said);
	free(said);
	cr_assert(gt(int, pid, 1));
	cr_assert(world_until(&world, 5000, watched, "all is well"));
	world_agent_stop(&world);
	cr_assert(world_until(&world, 5000, watched, "\nnull\n"), "%s", content("watch.txt"));
	cr_assert(eq(int, kill(pid, SIGINT), 0));
	for (char *line = strtok(content("watch.txt"), "\n"); line; line = strtok(NULL, "\n")) {
		json_t *value = json_loads(line, JSON_DECODE_ANY, NULL);
		cr_assert(value != NULL, "%s", line);
		json_decref(value);
	}
}

/* What was drawn last on a terminal, since the cursor went home; the widest line in cells. */
static const char *last_drawn(const char *said, uint32_t *lines, uint32_t *widest)
{
	const char *from = said;
	uint32_t width = 0;
	*lines = *widest = 0;
	for (const char *at = said; (at = strstr(at, "\033[H")) != NULL; at++)
		from = strstr(at, "\033[J") ? at : from; /* the last whole one */
	for (const char *at = from; *at && strncmp(at, "\033[J", 3) != 0; at++) {
		if (*at == '\033') {
			at += 1 + strcspn(at + 1, "mHKJ");
		} else if (*at == '\n') {
			++*lines;
			width = 0;
		} else if (*at != '\r') {
			width++;
			*widest = width > *widest ? width : *widest;
		}
	}
	return from;
}

static void set_size(int terminal, unsigned short rows, unsigned short columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};
	cr_assert(eq(int, ioctl(terminal, TIOCSWINSZ, &size), 0));
}

/* All that comes within so many milliseconds. */
static void read_terminal(int terminal, uint64_t ms, char *said, size_t room)
{
	size_t have = 0;
	struct pollfd wait = {.fd = terminal, .events = POLLIN};
	for (uint64_t end = world_ms() + ms; world_ms() < end && have + 1 < room;) {
		ssize_t got = poll(&wait, 1, 50) > 0 ? read(terminal, said + have, room - have - 1)
						     : 0;
		have += got > 0 ? (size_t)got : 0;
	}
	said[have] = '\0';
}

Test(nfctl, watch_fits_the_terminal_follows_its_size_and_ends_by_ctrl_c)
{
	static char said[65536];
	char program[WORLD_TEXT_BYTES], control[WORLD_TEXT_BYTES];
	uint32_t lines, widest;
	int terminal, status = 0;
	begin(NULL);
	for (int i = 0; i < 6; i++)
		expect("run switch --wait", 0, "exited 0");
	snprintf(program, sizeof(program), "%s/supervisor/nfctl/nfctl", getenv("NIXFLEET_BUILD"));
	snprintf(control, sizeof(control), "%s/run/control.sock", world.folder);
	pid_t pid = forkpty(&terminal, NULL, NULL, &(struct winsize){.ws_row = 10, .ws_col = 40});
	if (pid == 0) {
		unsetenv("NO_COLOR");
		execl(program, "nfctl", "status", "--watch", "--socket", control, (char *)NULL);
		_exit(127);
	}
	read_terminal(terminal, 3000, said, sizeof(said));
	const char *drawn = last_drawn(said, &lines, &widest);
	cr_assert(strstr(drawn, "\033[32mhealthy\033[0m: all is well") != NULL, "%s", said);
	cr_assert(eq(u32, lines, 9));
	cr_assert(eq(u32, widest, 40));
	set_size(terminal, 24, 80);
	read_terminal(terminal, 3000, said, sizeof(said));
	last_drawn(said, &lines, &widest);
	cr_assert(eq(u32, lines, 12));
	cr_assert(gt(u32, widest, 40));
	cr_assert(le(u32, widest, 80));
	cr_assert(eq(i64, write(terminal, "\003", 1), 1));
	read_terminal(terminal, 500, said, sizeof(said));
	cr_assert(eq(int, waitpid(pid, &status, WNOHANG), pid));
	bool is_signaled = WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
	cr_assert(is_signaled);
	close(terminal);
}

Test(nfctl, reload_answers_with_the_error_and_keeps_the_good_one)
{
	world_open(&world, NULL);
	world_file(&world, "agent.conf", "NIXFLEET_LOCATION=home\n", 0600);
	configure_by("agent.conf");
	world_agent_start(&world);
	world_stub(&world, "reboot", "#!/bin/sh\nexit 0\n");
	cr_assert(world_until(&world, 20000, world_status_is, "health=0"), "%s", world_log(&world));
	expect("reload", 0, "the configuration was read again");
	world_file(&world, "agent.conf", "NIXFLEET_THEME_COLOR=red\nNIXFLEET_BRANCH=-x\n", 0600);
	expect("reload", 2, "the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	/* The same words wherever one looks, until it is mended. */
	expect("status", 1, "degraded: the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	expect("doctor", 2, "the new configuration is not used: NIXFLEET_BRANCH is '-x'");
	world_file(&world, "agent.conf", "no sense\n", 0600);
	expect("reload", 2, "line 1, is not of the form KEY=VALUE");
	/* Commands of the host's own are read at the start alone. */
	world_file(&world, "agent.conf", "NIXFLEET_OPS_DIR=/tmp/other\n", 0600);
	expect("reload", 2, "restart the agent to change");
	world_file(&world, "agent.conf", "NIXFLEET_LOCATION=work\n", 0600);
	expect("reload", 0, "the configuration was read again\n"); /* standalone: no worker */
	cr_assert(world_status_is(&world, "health=0"));
}

static bool has_another_worker(struct world *world, void *former)
{
	pid_t worker = world_worker(world);
	return worker > 0 && worker != *(pid_t *)former;
}

Test(nfctl, reload_starts_a_worker_with_the_new_settings)
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
		expect("reload", 0, "the worker starts anew with it");
		cr_assert(world_until(&world, 10000, has_another_worker, &former), "%s",
			world_log(&world));
		cr_assert(eq(int, kill(world.agent, 0), 0));
	}
	world_file(&world, "token", "another-token", 0600);
	expect("reload", 0, "the worker starts anew with it");
	cr_assert(
		world_until(&world, 10000, world_status_is, "why=the dashboard refuses the token"),
		"%s", world_log(&world));
	expect("reload", 0, "the configuration was read again\n");
}

/* A reason that its field does not hold is cut; its client is told what there is of it. */
Test(nfctl, reload_answers_with_a_long_error_too)
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
	expect("reload", 2, "the new configuration is not used: /");
}

/* The account's name and home come from the name service, which may need the network. */
Test(nfctl, reload_does_not_wait_for_the_name_service)
{
	char command[WORLD_TEXT_BYTES];
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("skipped: no mount namespace here");
	begin(NULL);
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
Test(nfctl, an_account_that_is_not_known_is_root_or_refused)
{
	char *said = NULL;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("skipped: no mount namespace here");
	world_open(&world, NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho I am $USER in $HOME\n");
	world_set(&world, "HOME", NULL);
	world_set(&world, "USER", NULL);
	cr_assert(eq(int,
		script("mkdir $FOLDER/theirs && chown 54321 $FOLDER/theirs && chmod 755 $FOLDER && "
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
	cr_assert(eq(int, refused, 111), "%s", content("refused.txt"));
	cr_assert(strstr(content("refused.txt"), "the home of user 54321 is not known") != NULL,
		"%s", content("refused.txt"));
}

/* Without an agent nfctl looks at the settings itself. */
Test(nfctl, a_silent_name_service_keeps_nobody_waiting)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("skipped: no mount namespace here");
	world_open(&world, NULL);
	/* A bash that misses one of them asks the name service itself. */
	setenv("SHELL", "/bin/sh", 1);
	setenv("HOME", world.folder, 1);
	cr_assert(eq(int,
		script("mkfifo $FOLDER/silent && mount --bind $FOLDER/silent /etc/passwd", NULL),
		0));
	int code = script("timeout 10 $NFCTL status --socket $FOLDER/none", NULL);
	int written = script(
		"timeout 60 $NFCTL diagnostics $FOLDER/d.tar --socket $FOLDER/none", NULL);
	umount2("/etc/passwd", MNT_DETACH);
	cr_assert(eq(int, code, 3));
	cr_assert(eq(int, written, 0));
}

static bool worker_changed(struct world *of, void *former)
{
	pid_t now = world_worker(of);
	return now > 1 && now != *(pid_t *)former;
}

Test(nfctl, kick_starts_a_worker_that_waits_in_safe_mode)
{
	begin("");
	expect("kick", 0, "tried now");
	for (int i = 0; i < 5; i++) {
		pid_t worker = world_worker(&world);
		cr_assert(gt(int, worker, 1));
		cr_assert(eq(int, kill(worker, SIGKILL), 0));
		cr_assert(world_until(&world, 5000, world_status_is,
			i < 4 ? "worker=waiting" : "worker=safe mode"));
		/* Safe mode waits for five minutes. */
		expect("kick", 0, "tried now");
		cr_assert(world_until(&world, 5000, worker_changed, &worker));
	}
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
}

/* A switch may restart its agent before the one who waits has looked for its output. */
Test(nfctl, waiting_outlives_an_agent_that_goes_as_the_command_begins)
{
	char text[WORLD_TEXT_BYTES];
	begin(NULL);
	snprintf(text, sizeof(text), "#!/bin/sh\nkill -9 %d\nsleep 2\necho it was built\nexit 3\n",
		(int)world.agent);
	world_stub(&world, "nixos-rebuild", text);
	expect("pause", 0, "paused");
	pid_t waiting = fork();
	if (waiting == 0)
		_exit(script("$NFCTL run switch --wait --socket $FOLDER/run/control.sock "
			     ">$FOLDER/waited 2>&1",
			NULL));
	cr_assert(world_until(&world, 5000, world_status_is, "queued=1"));
	usleep(3000000); /* after which it looks four times a second */
	expect("resume", 0, "resumed");
	cr_assert(eq(int, world_agent_wait(&world, 10000), 1000 + SIGKILL));
	usleep(600000);
	world_agent_start(&world);
	int status;
	cr_assert(eq(int, waitpid(waiting, &status, 0), waiting));
	cr_assert(eq(int, WEXITSTATUS(status), 3), "%s", content("waited"));
	cr_assert(strstr(content("waited"), "it was built") != NULL, "%s", content("waited"));
}

/* A script that keeps what it was told must learn that it was not kept. */
Test(nfctl, what_cannot_be_written_is_a_failure)
{
	char *said;
	static const char *const words[] = {"status", "status --json", "metrics", "runs"};
	begin(NULL);
	expect("run switch --wait", 0, "exited 0");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char text[WORLD_TEXT_BYTES];
		snprintf(text, sizeof(text),
			"$NFCTL %s --socket $FOLDER/run/control.sock >/dev/full", words[i]);
		cr_assert(eq(int, script(text, &said), 2), "%s: %s", words[i], said);
		cr_assert(strstr(said, "standard output: No space left") != NULL, "%s", said);
		free(said);
	}
	/* The code of a command that was waited for is the command's. */
	cr_assert(eq(int,
		script("$NFCTL run switch --wait --socket $FOLDER/run/control.sock >/dev/full",
			NULL),
		0));
}

Test(nfctl, every_command_has_help_and_its_exit_codes)
{
	char *output;
	world_open(&world, NULL);
	cr_assert(eq(int,
			  script("set -e; n=0\n"
				 "for c in $($NFCTL --help | sed -n 's/^  \\([a-z]*\\) .*/\\1/p'); "
				 "do\n"
				 "  $NFCTL $c --help > $FOLDER/help\n"
				 "  grep -q \"^usage: nfctl $c\" $FOLDER/help\n"
				 "  grep -q '^exit codes: .*3 the agent is not running' "
				 "$FOLDER/help\n"
				 "  n=$((n + 1))\n"
				 "done; echo $n; test $n -ge 8",
				  &output),
			  0),
		"%s", output);
	free(output);
	expect("status --follow", 64, "this command has no option '--follow'");
	expect("completion tcsh", 64, "unknown argument 'tcsh'");
	expect("runs -n 0", 64, "a number from 1 to 200");
}

Test(nfctl, completions_complete)
{
	char *output;
	world_open(&world, NULL);
	cr_assert(eq(int,
			  script("source <($NFCTL completion bash) || exit 1\n"
				 "complete -p nfctl || exit 2\n"
				 "try() { COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _nfctl; "
				 "echo \"${COMPREPLY[@]}\"; }\n"
				 "[ \"$(try nfctl sta)\" = status ] || exit 3\n"
				 "[ \"$(try nfctl status --wat)\" = --watch ] || exit 4\n"
				 "[ \"$(try nfctl completion f)\" = fish ] || exit 5\n"
				 "[ -z \"$(try nfctl run --wat)\" ] || exit 6\n"
				 "for shell in zsh fish; do\n"
				 "  command -v $shell > /dev/null || continue\n"
				 "  $NFCTL completion $shell > $FOLDER/completion\n"
				 "  $shell -n $FOLDER/completion || exit 7\n"
				 "done",
				  &output),
			  0),
		"%s", output);
	free(output);
}

Test(nfctl, waiting_for_a_short_command_takes_no_quarter_of_a_second)
{
	uint64_t best = UINT64_MAX;
	begin(NULL);
	for (int i = 0; i < 8; i++) {
		uint64_t start = world_ms();
		expect("run switch --wait", 0, "exited 0");
		uint64_t took = world_ms() - start;
		best = took < best ? took : best;
	}
	cr_log_info("the fastest of eight took %llu ms", (unsigned long long)best);
	cr_assert(lt(u64, best, 200));
}

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

Test(nfctl, a_pause_over_http_queues_and_outlives_a_restart)
{
	int one = 1;
	begin("");
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	expect("pause --for 2h --reason 'the disk is copied'", 0, ": the disk is copied");
	cr_assert(world_until(&world, 2000, world_status_is, "health=0"));
	expect("status", 0, "healthy: paused until 20");
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_status_is, "queued=1"));
	restart();
	expect("status", 0, ": the disk is copied");
	cr_assert(world_status_is(&world, "queued=1"));
	expect("resume", 0, "resumed");
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	restart();
	expect("run switch --wait", 0, "exited 0");
	expect("resume", 0, "it was not paused");
	expect("pause --for soon", 64, "a time such as 90s");
}

/* The last of them would be 384 ms if it were taken as a number of 64 bits. */
Test(nfctl, a_pause_that_no_number_holds_is_refused)
{
	world_open(&world, NULL);
	expect("pause --for 367d", 64, "366d at most");
	expect("pause --for 5124095577h", 64, "366d at most");
	expect("pause --for 99999999999999999999h", 64, "366d at most");
	expect("pause --for 18446744073709551615s", 64, "366d at most");
	expect("pause --for $(printf '31622400d%.0s' $(seq 6751))21159934d51952s", 64,
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

Test(nfctl, a_pause_ends_by_itself_and_what_waited_runs)
{
	begin(NULL);
	expect("pause --for 2s", 0, "paused until");
	expect("run switch", 0, "is queued");
	expect("run switch", 2, "already waiting");
	expect("run switch --wait", 2, "already waiting");
	uint64_t start = world_ms();
	cr_assert(world_until(&world, 10000, world_status_is, "queued=0"));
	cr_assert(lt(u64, world_ms() - start, 4000));
	cr_assert(world_until(&world, 5000, newest_ended, NULL));
}

Test(nfctl, settings_of_somebody_else_are_set_aside_by_name)
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
	cr_assert(eq(str, content("state/settings.bad"), "paused = yes, please"));
	expect("run switch --wait", 0, "exited 0");
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

Test(nfctl, a_pause_over_websocket_shows_on_the_page_and_refuses)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_set(&world, "NIXFLEET_URL", "ws://127.0.0.1:%d/ws", world.port);
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	expect("pause --reason 'hands off'", 0, "paused until it is resumed: hands off");
	cr_assert(world_until(&world, 10000, page_says, "paused"));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_outcomes, &one));
	world_outcome(&world, "comment", text);
	cr_assert(strstr(text, "paused until it is resumed: hands off") != NULL ||
			  strstr(world_outcome(&world, "message", text), "hands off") != NULL,
		"%s", text);
	expect("resume", 0, "resumed");
	expect("run switch --wait", 0, "exited 0");
	cr_assert(world_until(&world, 10000, page_says, ""));
}

static bool why_says(struct world *of, void *needle)
{
	char *said;
	int code = world_nfctl(of, "why", &said);
	bool is = strstr(said, needle) != NULL &&
		  code == (strstr(said, "nothing is waited") ? 0 : 1);
	free(said);
	return is;
}

Test(nfctl, why_names_a_silent_step_its_processes_and_the_queue_behind)
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
	expect("pause --reason tea", 0, "paused");
	expect("cancel", 0, "is being ended");
	cr_assert(world_until(&world, 20000, why_says, "1 command behind the pause"));
	expect("why", 1, "paused until it is resumed: tea");
}

Test(nfctl, why_names_what_the_network_says_and_a_worker_that_waits)
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
Test(nfctl, why_names_what_is_owed_and_who_leaves)
{
	begin("");
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
	world_fault(&world, "{\"match\":\"status\",\"count\":100,\"kind\":\"cut\",\"bytes\":0}");
	world_command(&world, "restart");
	cr_assert(world_until(&world, 10000, why_says, "the dashboard to take 1 outcome"));
	cr_assert(world_until(
		&world, 5000, why_says, "what is owed to be delivered before the agent leaves"));
	cr_assert(eq(int, world_agent_wait(&world, 20000), 101));
}

Test(nfctl, why_names_who_holds_the_lock_when_nobody_answers)
{
	char text[WORLD_TEXT_BYTES], *said;
	begin(NULL);
	snprintf(text, sizeof(text), "HOME=%s NIXFLEET_HOSTNAME=%s $NFCTL why --socket %s/none",
		world.folder, world.host, world.folder);
	cr_assert(eq(int, script(text, &said), 3));
	snprintf(text, sizeof(text), ".lock is held by pid %d since 20", (int)world.agent);
	cr_assert(strstr(said, text) != NULL, "%s", said);
	free(said);
	kill(world.agent, SIGKILL);
	world_agent_wait(&world, 5000);
	snprintf(text, sizeof(text), "HOME=%s NIXFLEET_HOSTNAME=%s $NFCTL why --socket %s/none",
		world.folder, world.host, world.folder);
	cr_assert(eq(int, script(text, &said), 3));
	cr_assert(strstr(said, "which is gone: the next agent takes it") != NULL, "%s", said);
	free(said);
	snprintf(text, sizeof(text), "NIXFLEET_INTERVAL=never $NFCTL why --socket %s/none",
		world.folder);
	cr_assert(eq(int, script(text, &said), 3));
	cr_assert(strstr(said, "NIXFLEET_INTERVAL is 'never': it must be seconds") != NULL, "%s",
		said);
	free(said);
}

Test(nfctl, doctor_finds_what_is_wrong_and_says_the_fix)
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
	expect("doctor", 1, "plain text: the token can be read on the way");
	expect("doctor", 1, "ok       agent       all is well");
	expect("doctor", 1, "repo is clean");
	expect("doctor", 1, "s from the dashboard's");
	expect("doctor", 1, "MiB are free for");
	expect("doctor", 1, "held by pid");
	snprintf(path, sizeof(path), "%s/token", world.folder);
	chmod(path, 0644);
	snprintf(words, sizeof(words),
		"warning  token       %.200s can be read by others (mode 644): chmod 600", path);
	expect("doctor", 1, words);
	chmod(path, 0640);
	expect("doctor", 1, "can be read by others (mode 640): chmod 600");
	chmod(path, 0600);
	if (geteuid() == 0) {
		cr_assert(eq(int, chown(path, 61234, (gid_t)-1), 0));
		expect("doctor", 1, "token belongs to user 61234: it must belong to root");
		cr_assert(eq(int, chown(path, 0, (gid_t)-1), 0));
	}
	world_file(&world, "repo/flake.lock", "{\"changed\":1}\n", 0644);
	expect("doctor", 1, "has changes ( M flake.lock): commit or stash them");
	snprintf(path, sizeof(path), "%s/bin/nixos-rebuild", world.folder);
	unlink(path);
	expect("doctor", 2, "needs nixos-rebuild, which is not in PATH");
	world_dashboard_stop(&world);
	expect("doctor", 2, ": connection refused by 127.0.0.1");
	cr_assert(eq(int, world_nfctl(&world, "doctor --json", &said), 2));
	json_t *list = json_loads(said, 0, NULL);
	cr_assert(gt(sz, json_array_size(list), 8), "%s", said);
	cr_assert(strstr(said, "shared-token") == NULL);
	json_decref(list);
	free(said);
}

Test(nfctl, doctor_works_without_an_agent)
{
	char text[WORLD_TEXT_BYTES], *said;
	world_open(&world, NULL);
	snprintf(text, sizeof(text),
		"export HOME=%s NIXFLEET_HOSTNAME=%s NIXFLEET_REPO_DIR=%s/repo "
		"NIXFLEET_STATE_DIR=%s/state; $NFCTL doctor --socket %s/none --config /dev/null",
		world.folder, world.host, world.folder, world.folder, world.folder);
	cr_assert(eq(int, script(text, &said), 2));
	cr_assert(strstr(said, "failed   agent       the agent is not running: start it") != NULL,
		"%s", said);
	cr_assert(strstr(said, "repo is clean") != NULL, "%s", said);
	cr_assert(strstr(said, "nobody holds") != NULL, "%s", said);
	free(said);
	cr_assert(eq(int,
		script("NIXFLEET_LOG_LEVEL=loud $NFCTL doctor --socket $FOLDER/none", &said), 2));
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
	cr_assert(eq(int, script(text, &said), 2));
	cr_assert(strstr(said, needle) != NULL, "%s: %s", needle, said);
	free(said);
}

Test(nfctl, doctor_says_who_has_the_lock_and_whether_there_is_a_repository)
{
	char words[WORLD_TEXT_BYTES];
	begin(NULL);
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
Test(nfctl, doctor_compares_the_clock)
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
	cr_assert(eq(int, script("mkdir $FOLDER/probe", NULL), 0));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", cases[i].date);
		world_file(&world, "probe/nixfleet-worker", text, 0755);
		expect_alone(variables, cases[i].says);
	}
}

Test(nfctl, doctor_measures_the_room_that_is_left)
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

Test(nfctl, doctor_asks_sudo_for_exactly_what_would_run)
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
	cr_assert(eq(int, script(text, &said), 2));
	snprintf(text, sizeof(text),
		"ok       sudo        nixos-rebuild switch --flake /nowhere#%s", world.host);
	cr_assert(strstr(said, text) != NULL, "%s", said);
	cr_assert(
		strstr(said, "failed   sudo        nixos-rebuild --rollback switch is not allowed "
			     "without a password: give user ") != NULL,
		"%s", said);
	free(said);
}

/* The rules of the text format that count: a family is declared before its samples and never again,
 * samples have names, labels and a number, and the end is said. */
static void check_metrics(char *text)
{
	regex_t sample, type;
	char name[128] = "", names[8192] = "";
	uint32_t samples = 0;
	bool is_over = false;
	cr_assert(eq(int,
		regcomp(&sample,
			"^[a-z_]+(\\{[a-z_]+=\"([^\"\\]|\\\\.)*\"(,[a-z_]+=\"([^\"\\]|\\\\.)*\")*"
			"\\})? "
			"-?[0-9]+(\\.[0-9]+)?(e[+-]?[0-9]+)?$",
			REG_EXTENDED | REG_NOSUB),
		0));
	cr_assert(eq(int,
		regcomp(&type, "^# TYPE [a-z_]+ (gauge|counter)$", REG_EXTENDED | REG_NOSUB), 0));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		cr_assert(not(is_over), "after the end: %s", line);
		if (strncmp(line, "# TYPE ", 7) == 0) {
			char seen[160];
			cr_assert(eq(int, regexec(&type, line, 0, NULL, 0), 0), "%s", line);
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 7, " "), line + 7);
			snprintf(seen, sizeof(seen), " %s ", name);
			cr_assert(strstr(names, seen) == NULL, "twice: %s", name);
			strncat(names, seen, sizeof(names) - strlen(names) - 1);
		} else if (strncmp(line, "# HELP ", 7) == 0) {
			cr_assert(eq(int, strncmp(line + 7, name, strlen(name)), 0), "%s", line);
		} else if (strcmp(line, "# EOF") == 0) {
			is_over = true;
		} else {
			cr_assert(eq(int, regexec(&sample, line, 0, NULL, 0), 0), "%s", line);
			cr_assert(name[0] && strncmp(line, name, strlen(name)) == 0, "%s", line);
			samples++;
		}
	}
	regfree(&sample);
	regfree(&type);
	cr_assert(is_over, "no end");
	cr_assert(gt(u32, samples, 0));
}

static void expect_metric(const char *text, const char *line)
{
	char whole[WORLD_TEXT_BYTES];
	snprintf(whole, sizeof(whole), "\n%s\n", line);
	cr_assert(strstr(text, whole) != NULL, "no %s in\n%s", line, text);
}

Test(nfctl, metrics_are_openmetrics_and_written_whole)
{
	char words[WORLD_TEXT_BYTES], *said;
	begin(NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 3\n");
	expect("run switch --wait", 3, "exited 3");
	expect("run switch --wait", 3, "exited 3");
	expect("pause --for 1h", 0, "paused");
	snprintf(words, sizeof(words), "metrics --output %s/agent.prom", world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, NULL), 0));
	said = content("agent.prom");
	expect_metric(said, "nixfleet_agent_up 1");
	expect_metric(said, "nixfleet_agent_runs{command=\"switch\",outcome=\"exited\"} 2");
	expect_metric(said, "nixfleet_agent_last_run_success{command=\"switch\"} 0");
	expect_metric(said, "nixfleet_agent_paused 1");
	expect_metric(said, "nixfleet_agent_link{state=\"none\"} 1");
	check_metrics(said);
	world_agent_stop(&world);
	cr_assert(eq(int, world_nfctl(&world, "metrics", &said), 0));
	expect_metric(said, "nixfleet_agent_up 0");
	check_metrics(said);
	free(said);
	expect("metrics --output /nowhere/agent.prom", 2, "/nowhere/agent.prom: No such file");
}

static bool has_token(struct world *of, void *unused)
{
	(void)of;
	(void)unused;
	return strlen(content("state/token")) > 6;
}

/* What would give the host away is looked for in the bytes of the archive itself. */
static void expect_no_secret(const char *archive, const char *secret)
{
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "! grep -aqF '%s' $FOLDER/%s", secret, archive);
	cr_assert(gt(sz, strlen(secret), 5));
	cr_assert(eq(int, script(words, NULL), 0), "%s is in %s", secret, archive);
}

Test(nfctl, diagnostics_hold_what_helps_and_no_secret)
{
	char words[WORLD_TEXT_BYTES], own[WORLD_TEXT_BYTES], *said;
	world_open(&world, "--provision");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho 'Authorization: Bearer shared-token' and "
		"https://me:hunter@2222@git.example; echo bare: $(cat $HOME/state/token "
		"2>/dev/null)\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	cr_assert(world_until(&world, 10000, has_token, NULL));
	snprintf(own, sizeof(own), "%.*s", (int)strcspn(content("state/token"), "\n"),
		content("state/token"));
	expect("run switch --wait", 0, "Bearer shared-token");
	expect("logs", 0, own);
	snprintf(words, sizeof(words), "diagnostics %s/one.tar --with-output", world.folder);
	uint64_t start = world_ms();
	expect(words, 0, "one.tar");
	cr_assert(lt(u64, world_ms() - start, 30000));
	expect(words, 2, "File exists");
	expect_no_secret("one.tar", "shared-token");
	expect_no_secret("one.tar", "hunter");
	expect_no_secret("one.tar", "2222@git");
	expect_no_secret("one.tar", own);
	cr_assert(eq(int,
			  script("cd $FOLDER && mkdir x && tar -xf one.tar -C x && cd x/* && ls && "
				 "python3 -m json.tool status.json > /dev/null && grep -q switch "
				 "runs.json && "
				 "grep -q '^ok ' doctor.txt && test -s flight && grep -aq "
				 "'\\*\\*\\*' *.out && "
				 "ls *-switch-*.run && grep -q 'TYPE nixfleet_agent_up' "
				 "metrics.txt && "
				 "test $(stat -c %a ../../one.tar) = 600",
				  &said),
			  0),
		"%s", said);
	free(said);
	world_agent_stop(&world);
	snprintf(words, sizeof(words),
		"NIXFLEET_STATE_DIR=$FOLDER/state NIXFLEET_TOKEN=shared-token $NFCTL diagnostics "
		"$FOLDER/two.tar --socket $FOLDER/none && tar -tf $FOLDER/two.tar");
	cr_assert(eq(int, script(words, &said), 0), "%s", said);
	cr_assert(strstr(said, "-switch-") != NULL && strstr(said, "/flight.saved") != NULL, "%s",
		said);
	free(said);
	expect_no_secret("two.tar", "shared-token");
	expect_no_secret("two.tar", own);
}

Test(nfctl, diagnostics_show_no_password_of_a_repositorys_url)
{
	char words[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_REPO_DIR", NULL);
	/* So long that a line in a record is cut off within. */
	world_set(&world, "NIXFLEET_REPO_URL", "https://me:hunter2222%0400d@127.0.0.1:1/x", 0);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
	expect("run pull --wait", 128, "fatal: unable to access");
	cr_assert(eq(int, script("grep -aqF '127.0.0.1:1/x' $FOLDER/state/runs/*.run", NULL), 0));
	cr_assert(eq(int, script("grep -aqF hunter2222 $FOLDER/state/runs/*", NULL), 1));
	snprintf(words, sizeof(words), "diagnostics %s/one.tar --with-output", world.folder);
	expect(words, 0, "one.tar");
	expect_no_secret("one.tar", "hunter2222");
	expect_no_secret("one.tar", "000000000000");
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
	hung_disk_begin();
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

Test(nfctl, s18_a_configuration_on_a_disk_that_hangs_holds_nothing_up)
{
	char path[WORLD_TEXT_BYTES], *said;
	pid_t server = begin_hung_reload(path);
	uint64_t start = world_ms();
	cr_assert(eq(int, world_nfctl(&world, "status", &said), 0), "%s", said);
	cr_assert(strstr(said, "reading the configuration is given up") != NULL, "%s", said);
	free(said);
	cr_assert(lt(u64, world_ms() - start, 1500));
	expect("run switch --wait", 0, "exited 0");
	cr_assert(world_until(&world, 10000, world_status_is, "health=1"));
	expect("status", 1, "not used: it could not be read in time: its disk hangs");
	cr_assert(strstr(content("reload.txt"), "its disk hangs") != NULL);
	/* Until the disk is gone there is no second one that hangs. */
	expect("reload", 2, "its last reading still hangs");
	hung_disk_end(server, path);
	point_configuration_at("good.conf");
	usleep(500000);
	expect("reload", 0, "the configuration was read again");
	cr_assert(world_status_is(&world, "health=0"));
}

Test(nfctl, s13_a_configuration_is_not_given_up_for_a_time_when_nobody_ran)
{
	char path[WORLD_TEXT_BYTES];
	pid_t server = begin_hung_reload(path);
	kill(world.agent, SIGSTOP);
	usleep((RELOAD_MS + SUPERVISOR_AWAY_MS + 500) * 1000);
	hung_disk_end(server, path);
	usleep(200000);
	kill(world.agent, SIGCONT);
	cr_assert(world_until(&world, 5000, world_status_is, "health=1"));
	expect("status", 1, "agent.conf cannot be read");
	cr_assert(strstr(content("reload.txt"), "agent.conf cannot be read") != NULL);
}

Test(nfctl, diagnostics_leave_a_disk_that_hangs)
{
	char words[WORLD_TEXT_BYTES], hung[WORLD_TEXT_BYTES], *said;
	world_open(&world, "");
	snprintf(hung, sizeof(hung), "%s/hung", world.folder);
	cr_assert(eq(int, mkdir(hung, 0700), 0));
	hung_disk_begin();
	pid_t server = hung_disk_mount(hung);
	uint64_t start = world_ms();
	snprintf(words, sizeof(words),
		"NIXFLEET_STATE_DIR=$FOLDER/hung/state NIXFLEET_TOKEN=shared-token timeout -s KILL "
		"60 $NFCTL diagnostics $FOLDER/one.tar --socket $FOLDER/none | cat && "
		"tar -xOf $FOLDER/one.tar --wildcards '*/state.txt' '*/host.txt'");
	int code = script(words, &said);
	uint64_t took = world_ms() - start;
	hung_disk_end(server, hung);
	cr_assert(eq(int, code, 0), "%s", said);
	cr_assert(strstr(said, "its disk hangs") != NULL && strstr(said, "Linux") != NULL, "%s",
		said);
	free(said);
	cr_assert(lt(u64, took, 30000));
}
