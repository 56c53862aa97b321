/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Commands from the dashboard to their outcome there. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;
static char text[WORLD_TEXT_BYTES];

static void finish(void)
{
	world_close(&world);
}

TestSuite(commands, .fini = finish, .timeout = 90);

static void begin(const char *options)
{
	world_open(&world, options);
	world_agent_start_registered(&world);
}

Test(commands, switch_runs_nixos_rebuild_and_its_output_and_code_arrive)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho \"built $*\"\necho warned >&2\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "ok");
	world_expect(&world, "comment", "switch");
	world_expect(&world, "output", "built switch --flake ");
	world_expect(&world, "output", "warned");
	cr_assert(world_until(&world, 5000, world_runs_say, "delivered"));
}

Test(commands, a_failure_says_why)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho evaluating\necho 'error: attribute missing' >&2\nexit 3\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "error");
	world_expect(&world, "comment", "switch");
	world_expect(&world, "comment", "error: attribute missing");
}

Test(commands, pull_moves_the_working_tree)
{
	char command[WORLD_TEXT_BYTES * 2];
	begin("");
	snprintf(command, sizeof(command),
		"exec >>%s/git.log 2>&1; cd %s && git clone -q remote.git other && cd other && "
		"echo news > news && git add news && git -c user.name=t -c "
		"user.email=t@example.org "
		"commit -q -m second && git push -q",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	world_command(&world, "pull");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "ok");
	snprintf(command, sizeof(command), "%s/repo/news", world.folder);
	cr_assert(eq(int, access(command, F_OK), 0));
}

Test(commands, tests_report_progress_and_their_sum)
{
	char path[128];
	world_open(&world, "");
	for (int i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "repo/hosts/%s/tests/T0%d.sh", world.host, i);
		world_file(&world, path, i == 2 ? "#!/bin/sh\nexit 1\n" : "#!/bin/sh\nsleep 0.3\n",
			0755);
	}
	world_agent_start_registered(&world);
	world_command(&world, "test");
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "comment", "test");
	cr_assert(ge(u32, world_count(&world, "test-progress"), 2));
	json_t *seen = world_seen(&world);
	bool is_over = json_is_false(json_object_get(seen, "test_running"));
	cr_assert(is_over);
	const char *sum = json_string_value(json_object_get(seen, "test_status"));
	cr_assert(sum && strstr(sum, "2/3 pass, 1 fail") != NULL);
	json_decref(seen);
}

Test(commands, an_unknown_one_is_answered)
{
	begin("");
	cr_assert(eq(int,
		(int)(world_request(&world, "POST", "/api/hosts/x/command", "{}", NULL) >= 400),
		1));
	char path[128];
	snprintf(path, sizeof(path), "/api/hosts/%s/command", world.host);
	long status = world_request(
		&world, "POST", path, "{\"command\":\"dance\",\"force\":true}", NULL);
	if (status >= 300)
		cr_skip_test("the dashboard refuses commands that it does not know");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "status", "error");
	world_expect(&world, "comment", "Unknown command: dance");
}

Test(commands, s25_one_that_arrives_while_another_runs_waits_and_runs)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho started >> $HOME/count\nwhile [ ! -e $HOME/go ]; do sleep 0.05; "
		"done\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_status_is, "why=a command runs"));
	world_command(&world, "pull");
	cr_assert(world_until(&world, 5000, world_status_is, "queued=1"));
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 2, 10000);
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "pull") && strstr(runs, "switch"));
	free(runs);
	cr_assert(eq(int, world_nfctl(&world, "cancel", &runs), 2));
	cr_assert(strstr(runs, "nothing is running") != NULL);
	free(runs);
}

Test(commands, s14_one_that_never_ends_and_ignores_term_is_ended_at_its_deadline)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\ntrap '' TERM INT HUP\ntouch $HOME/running\nwhile :; do sleep 0.1; "
		"done\n");
	world_set(&world, "NIXFLEET_TIMEOUT_SWITCH", "1");
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_has_file, "running"));
	uint32_t before = world_count(&world, "register");
	world_expect_outcomes(&world, 1, 1000 + 1000 + 5000);
	cr_assert(gt(u32, world_count(&world, "register"), before + 3));
	world_expect(&world, "status", "error");
	world_expect(&world, "comment", "timed out");
	char secret[80];
	snprintf(secret, sizeof(secret), "%s", world.mark);
	json_t *status = world_status(&world);
	cr_assert(json_integer_value(json_object_get(status, "health")) == 0);
	json_decref(status);
}

Test(commands, s14_cancel_ends_it_and_says_so)
{
	char *output;
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/running\nsleep 1000\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_has_file, "running"));
	cr_assert(eq(int, world_nfctl(&world, "cancel", &output), 0), "%s", output);
	free(output);
	world_expect_outcomes(&world, 1, 5000);
	world_expect(&world, "status", "error");
	world_expect(&world, "comment", "cancelled");
}

/* As where no inode was left for it when the command began. */
Test(commands, s14_cancel_ends_one_that_has_no_fifo)
{
	static const char *const ways[] = {"cancel", "cancel --kill"};
	for (int i = 0; i < 2; i++) {
		char path[WORLD_TEXT_BYTES];
		char *output;
		world_open(&world, "");
		world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/running\nsleep 1000\n");
		world_agent_start_registered(&world);
		world_command(&world, "switch");
		cr_assert(world_until(&world, 5000, world_has_file, "running"));
		snprintf(path, sizeof(path), "rm %s/state/runs/*.ctl", world.folder);
		cr_assert(eq(int, system(path), 0));
		cr_assert(eq(int, world_nfctl(&world, ways[i], &output), 0), "%s", output);
		free(output);
		world_expect_outcomes(&world, 1, 5000);
		world_expect(&world, "comment", "cancelled");
		world_close(&world);
	}
}

Test(commands, s15_nothing_that_it_forked_survives)
{
	char names[WORLD_TEXT_BYTES];
	world_open(&world, "");
	world_set(&world, "ZOO_SECRET", "%s-zoo", world.host);
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\n"
		"(sleep 1001 &) ; setsid sleep 1002 & (setsid sh -c 'sleep 1003 & sleep 1004' &)\n"
		"sh -c 'trap \"\" TERM; while :; do sleep 0.2; done' &\n"
		"sh -c 'kill -STOP $$; sleep 1005' &\n"
		"touch $HOME/running\nsleep 1000\n");
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_has_file, "running"));
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "comment", "cancelled");
	world_expect(&world, "comment", "process");
	char secret[96];
	snprintf(secret, sizeof(secret), "ZOO_SECRET=%s-zoo", world.host);
	/* The agent's own processes have it too; those of the command are sleep and sh. */
	world_survivors(&world, secret, names);
	cr_assert(strstr(names, "sleep") == NULL && strstr(names, "sh(") == NULL, "%s", names);
}

Test(commands, s16_a_child_that_keeps_stdout_does_not_hold_the_outcome)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\necho done\nsleep 86400 &\ntouch $HOME/ended\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	cr_assert(world_until(&world, 5000, world_has_file, "ended"));
	world_expect_outcomes(&world, 1, 3500);
	world_expect(&world, "status", "ok");
	char names[WORLD_TEXT_BYTES];
	world_survivors(&world, world.mark, names);
	cr_assert(strstr(names, "sleep") == NULL, "%s", names);
}

Test(commands, s17_a_flood_of_odd_bytes_keeps_its_tail)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nprintf '\\033[31mred\\033[0m \\000\\377\\tx\\n'\n"
		"head -c 1048576 /dev/zero | tr '\\0' a; echo\n"
		"yes 0123456789012345678901234567890123456789 | head -c 50000000\n"
		"echo the-very-end\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 30000);
	world_expect(&world, "status", "ok");
	json_t *seen = world_seen(&world);
	json_t *row = json_array_get(json_object_get(seen, "log"), 0);
	const char *output = json_string_value(json_object_get(row, "output"));
	cr_assert(output && strstr(output, "the-very-end") != NULL);
	cr_assert(le(u64, strlen(output), 10000));
	for (const char *at = output; *at; at++)
		cr_assert(eq(int, *at == '\n' || (*at >= 32 && *at <= 126), 1));
	json_decref(seen);
}

Test(commands, a_step_sees_no_token_and_nothing_of_ours)
{
	world_open(&world, "");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nenv | grep -c '^NIXFLEET_'\nls /proc/self/fd | tr '\\n' ' '\n"
		"echo \"prompt=$GIT_TERMINAL_PROMPT user=$USER\"\n");
	world_agent_start_registered(&world);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "output", "0\n");
	world_expect(&world, "output", "prompt=0 user=");
	cr_assert(strstr(text, " 4") == NULL, "%s", text);
}

Test(commands, s33_git_that_wants_a_password_is_an_error_at_once)
{
	char command[WORLD_TEXT_BYTES];
	begin("");
	/* The dashboard answers 401 without a token: to git that is a question for a password. */
	snprintf(command, sizeof(command),
		"git -C %s/repo remote set-url origin http://127.0.0.1:%d/api/hosts/%s",
		world.folder, world.port, world.host);
	cr_assert(eq(int, system(command), 0));
	uint64_t start = world_ms();
	world_command(&world, "pull");
	world_expect_outcomes(&world, 1, 10000);
	cr_assert(lt(u64, world_ms() - start, 10000));
	world_expect(&world, "status", "error");
	world_expect(&world, "comment", "pull");
}

Test(commands, restart_is_reported_before_the_agent_leaves)
{
	begin("");
	world_command(&world, "restart");
	cr_assert(eq(int, world_agent_wait(&world, 15000), 101));
	world_expect_outcomes(&world, 1, 2000);
	world_expect(&world, "status", "ok");
	world_expect(&world, "comment", "restart");
}

/* A stub of nix that finds something new, a remote that somebody else pushed to, and a person's
 * edit. */
Test(commands, update_commits_the_lock_on_top_of_a_remote_that_moved_on_and_keeps_edits)
{
	char command[WORLD_TEXT_BYTES * 2];
	world_open(&world, "");
	world_stub(&world, "nix", "#!/bin/sh\nfor last; do :; done\ndate +%N > $last/flake.lock\n");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/switched\n");
	static const char *const names[] = {
		"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"};
	for (size_t i = 0; i < 4; i++)
		world_set(&world, names[i], "toy@example.org");
	snprintf(command, sizeof(command),
		"exec >>%s/git.log 2>&1; cd %s && git clone -q remote.git other && cd other && "
		"echo news > news && git add news && git -c user.name=t -c "
		"user.email=t@example.org "
		"commit -q -m second && git push -q; echo mine > ../repo/scratch",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	world_agent_start_registered(&world);
	world_command(&world, "update");
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "comment", "update: done");
	snprintf(command, sizeof(command),
		"cd %s && test -e switched -a -e repo/scratch -a -e repo/news && "
		"test \"$(git -C remote.git log -1 --format=%%s main)\" = 'flake.lock: update "
		"nixfleet' && "
		"test $(git -C remote.git rev-parse main) = $(git -C repo rev-parse HEAD)",
		world.folder);
	cr_assert(eq(int, system(command), 0));
}
