/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl, asked what people and their scripts ask it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(nfctl, .fini = finish, .timeout = 90);

static bool watched(struct world *unused, void *needle)
{
	(void)unused;
	return strstr(world_content(&world, "watch.txt"), needle) != NULL;
}

Test(nfctl, watch_says_each_change_once_and_outlives_the_agent)
{
	char *said;
	world_begin(&world, NULL);
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "status --watch > %s/watch.txt & echo $!", world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, &said), 0));
	pid_t pid = (pid_t)atoi(said);
	free(said);
	cr_assert(gt(int, pid, 1));
	cr_assert(world_until(&world, 5000, watched, "all is well"));
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
	cr_assert(world_until(&world, 5000, watched, "ended: exited 0"), "%s",
		world_content(&world, "watch.txt"));
	world_agent_stop(&world);
	cr_assert(world_until(&world, 5000, watched, "the agent is not running"));
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	poll(NULL, 0, 1500); /* a few looks at which nothing is new */
	cr_assert(eq(int, kill(pid, SIGINT), 0));
	/* Nothing is said twice in a row. */
	char *last = "", *line = strtok(world_content(&world, "watch.txt"), "\n");
	for (; line; line = strtok(NULL, "\n")) {
		cr_assert(gt(sz, strlen(line), 21));
		cr_assert(ne(int, strcmp(line + 21, last), 0), "twice: %s", line);
		last = line + 21;
	}
}

Test(nfctl, watch_as_json_is_a_value_a_line)
{
	char *said;
	world_begin(&world, NULL);
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "status --watch --json > %s/watch.txt & echo $!",
		world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, &said), 0));
	pid_t pid = (pid_t)atoi(said);
	free(said);
	cr_assert(gt(int, pid, 1));
	cr_assert(world_until(&world, 5000, watched, "all is well"));
	world_agent_stop(&world);
	cr_assert(world_until(&world, 5000, watched, "\nnull\n"), "%s",
		world_content(&world, "watch.txt"));
	cr_assert(eq(int, kill(pid, SIGINT), 0));
	for (char *line = strtok(world_content(&world, "watch.txt"), "\n"); line;
		line = strtok(NULL, "\n")) {
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
	world_begin(&world, NULL);
	for (int i = 0; i < 6; i++)
		world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
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

Test(nfctl, kick_starts_a_worker_that_waits_in_safe_mode)
{
	world_begin(&world, "");
	world_expect_nfctl(&world, "kick", 0, "tried now");
	for (int i = 0; i < 5; i++) {
		pid_t worker = world_worker(&world);
		cr_assert(gt(int, worker, 1));
		cr_assert(eq(int, kill(worker, SIGKILL), 0));
		cr_assert(world_until(&world, 5000, world_status_is,
			i < 4 ? "worker=waiting" : "worker=safe mode"));
		/* Safe mode waits for five minutes. */
		world_expect_nfctl(&world, "kick", 0, "tried now");
		cr_assert(world_until(&world, 5000, world_has_another_worker, &worker));
	}
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
}

/* A switch may restart its agent before the one who waits has looked for its output. */
Test(nfctl, waiting_outlives_an_agent_that_goes_as_the_command_begins)
{
	char text[WORLD_TEXT_BYTES];
	world_begin(&world, NULL);
	snprintf(text, sizeof(text), "#!/bin/sh\nkill -9 %d\nsleep 2\necho it was built\nexit 3\n",
		(int)world.agent);
	world_stub(&world, "nixos-rebuild", text);
	world_expect_nfctl(&world, "pause", 0, "paused");
	pid_t waiting = fork();
	if (waiting == 0)
		_exit(world_script(&world,
			"$NFCTL run switch --wait --socket $FOLDER/run/control.sock "
			">$FOLDER/waited 2>&1",
			NULL));
	cr_assert(world_until(&world, 5000, world_status_is, "queued=1"));
	usleep(3000000);                     /* after which it looks four times a second */
	world_nfctl(&world, "resume", NULL); /* it may be gone before it answers */
	cr_assert(eq(int, world_agent_wait(&world, 10000), 1000 + SIGKILL));
	usleep(600000);
	world_agent_start(&world);
	int status;
	cr_assert(eq(int, waitpid(waiting, &status, 0), waiting));
	cr_assert(eq(int, WEXITSTATUS(status), 3), "%s", world_content(&world, "waited"));
	cr_assert(strstr(world_content(&world, "waited"), "it was built") != NULL, "%s",
		world_content(&world, "waited"));
}

/* A script that keeps what it was told must learn that it was not kept. */
Test(nfctl, what_cannot_be_written_is_a_failure)
{
	char *said;
	static const char *const words[] = {"status", "status --json", "metrics", "runs"};
	world_begin(&world, NULL);
	world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char text[WORLD_TEXT_BYTES];
		snprintf(text, sizeof(text),
			"$NFCTL %s --socket $FOLDER/run/control.sock >/dev/full", words[i]);
		cr_assert(eq(int, world_script(&world, text, &said), 2), "%s: %s", words[i], said);
		cr_assert(strstr(said, "standard output: No space left") != NULL, "%s", said);
		free(said);
	}
	/* The code of a command that was waited for is the command's. */
	cr_assert(eq(int,
		world_script(&world,
			"$NFCTL run switch --wait --socket $FOLDER/run/control.sock >/dev/full",
			NULL),
		0));
}

Test(nfctl, every_command_has_help_and_its_exit_codes)
{
	char *output;
	world_open(&world, NULL);
	cr_assert(
		eq(int,
			world_script(&world,
				"set -e; n=0\n"
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
	world_expect_nfctl(&world, "status --follow", 64, "this command has no option '--follow'");
	world_expect_nfctl(&world, "completion tcsh", 64, "unknown argument 'tcsh'");
	world_expect_nfctl(&world, "runs -n 0", 64, "a number from 1 to 200");
}

Test(nfctl, completions_complete)
{
	char *output;
	world_open(&world, NULL);
	cr_assert(eq(int,
			  world_script(&world,
				  "source <($NFCTL completion bash) || exit 1\n"
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
	world_begin(&world, NULL);
	for (int i = 0; i < 8; i++) {
		uint64_t start = world_ms();
		world_expect_nfctl(&world, "run switch --wait", 0, "exited 0");
		uint64_t took = world_ms() - start;
		best = took < best ? took : best;
	}
	cr_log_info("the fastest of eight took %llu ms", (unsigned long long)best);
	cr_assert(lt(u64, best, 200));
}
