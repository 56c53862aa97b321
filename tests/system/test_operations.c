/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the operations of the WebSocket column do on a host, with real git and stubs of nix. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/lone_runner.h"

static struct lone_runner lone;
static char text[4096];

static void finish(void)
{
	lone_runner_close(&lone);
}

TestSuite(operations, .fini = finish, .timeout = 60);

static void expect_shell(const char *command)
{
	cr_assert(lone_runner_shell(&lone, "set -e; %s", command) == 0, "%s", command);
}

static void open_here(void)
{
	lone_runner_open(&lone);
	lone.plan.protocol = PROTOCOL_WEBSOCKET;
}

/* A checkout whose remote is so many commits ahead. */
static void open_behind(int commits)
{
	open_here();
	expect_shell(
		"cd repo; git init -q -b main .; echo '{}' > flake.lock; git add -A; "
		"git -c user.name=t -c user.email=t@example.org commit -q -m first; "
		"git clone -q --bare . ../remote.git; git remote add origin ../remote.git; "
		"git fetch -q; git branch -q -u origin/main; git clone -q ../remote.git ../other");
	for (int i = 0; i < commits; i++)
		expect_shell("cd other; date +%N >> news; git add news; git -c user.name=t -c "
			     "user.email=t@example.org commit -q -m more; git push -q");
}

static void expect_summary(const char *command, int code, const char *summary)
{
	lone_runner_run(&lone, command);
	cr_assert(eq(str, lone.record.summary, (char *)summary), "%s", lone.record.reason);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.record.code, code));
	if (code != 0)
		cr_assert(lone.record.reason[0] != '\0');
}

Test(operations, refresh_git_counts_and_moves_nothing)
{
	open_behind(0);
	expect_summary("refresh-git", 0, "ok: up to date");
	lone_runner_close(&lone);
	open_behind(3);
	expect_summary("refresh-git", 0, "outdated: 3 commits behind");
	expect_shell("test ! -e repo/news");
	lone_runner_close(&lone);
	open_behind(1);
	expect_shell("mv remote.git gone");
	lone_runner_run(&lone, "refresh-git");
	cr_assert(ne(i64, lone.record.code, 0));
	cr_assert(strncmp(lone.record.summary, "error: git exited ", 18) == 0, "%s",
		lone.record.summary);
}

Test(operations, refresh_lock_tells_the_age)
{
	open_behind(0);
	expect_summary("refresh-lock", 0, "ok: flake.lock is 0 days old");
	expect_shell(
		"cd repo; date > flake.lock; GIT_COMMITTER_DATE=\"$(date -d '-12 days' "
		"+@%s) +0000\" git -c user.name=t -c user.email=t@example.org commit -q -a -m old");
	expect_summary("refresh-lock", 0, "outdated: flake.lock is 12 days old");
	expect_shell("rm -rf repo/.git; cd repo; git init -q .; git -c user.name=t -c "
		     "user.email=t@example.org commit -q --allow-empty -m none");
	expect_summary("refresh-lock", 1, "error: no commit has a flake.lock");
}

static void open_home(const char *built)
{
	char script[512];
	open_here();
	lone.plan.manager = text_of("home-manager");
	expect_shell("mkdir -p .local/state/home-manager/gcroots store/one; "
		     "ln -s $PWD/store/one .local/state/home-manager/gcroots/current-home");
	snprintf(script, sizeof(script),
		"#!/bin/sh\necho \"$*\" > $HOME/asked\necho warning: dirty >&2\n"
		"printf '[{\"drvPath\":\"/nix/store/x.drv\",\"outputs\":{\"out\":\"%%s\"}}]\\n' "
		"\"$HOME/store/%s\"\n",
		built);
	lone_runner_stub(&lone, "nix", script);
}

Test(operations, refresh_system_compares_with_what_runs)
{
	open_home("one");
	expect_summary("refresh-system", 0, "ok: up to date");
	expect_shell("grep -qx \"build --dry-run --json --no-link "
		     "$PWD/repo#homeConfigurations.h1.activationPackage\" asked");
	lone_runner_close(&lone);
	open_home("two");
	expect_summary("refresh-system", 0,
		"outdated: the configuration gives another system than the one that runs");
	lone_runner_stub(&lone, "nix", "#!/bin/sh\necho 'error: no such attribute' >&2\nexit 1\n");
	expect_summary("refresh-system", 1, "error: nix exited 1: error: no such attribute");
}

Test(operations, refresh_all_answers_each_whatever_became_of_the_others)
{
	open_behind(2);
	lone_runner_stub(&lone, "nix", "#!/bin/sh\necho 'error: no flake' >&2\nexit 1\n");
	expect_summary("refresh-all", 0,
		"git: outdated: 2 commits behind; lock: ok: flake.lock is 0 days old; "
		"system: error: nix exited 1: error: no flake");
	expect_shell("mv remote.git gone");
	lone_runner_run(&lone, "refresh-all");
	cr_assert(strncmp(lone.record.summary, "git: error: git exited ", 23) == 0, "%s",
		lone.record.summary);
	cr_assert(strstr(lone.record.summary, "; lock: ok: ") != NULL, "%s", lone.record.summary);
}

Test(operations, check_version_compares_with_what_is_installed)
{
	open_here();
	lone_runner_stub(
		&lone, "nixfleet-agent", "#!/bin/sh\necho nixfleet-agent " NIXFLEET_VERSION "\n");
	expect_summary("check-version", 0, "ok: " NIXFLEET_VERSION);
	lone_runner_stub(&lone, "nixfleet-agent", "#!/bin/sh\necho nixfleet-agent 99.1.2\n");
	expect_summary(
		"check-version", 0, "outdated: " NIXFLEET_VERSION " runs, 99.1.2 is installed");
}

Test(operations, reboot_is_only_checked_and_reboot_now_does_it)
{
	open_here();
	lone_runner_stub(&lone, "reboot", "#!/bin/sh\ntouch $HOME/rebooted\n");
	lone_runner_stub(&lone, "sudo",
		"#!/bin/sh\n[ \"$*\" = '-n -l reboot' ] && exit 0\n"
		"[ \"$*\" = '-n reboot' ] && exec reboot\nexit 9\n");
	expect_summary("reboot", 0, "");
	cr_assert(lone_runner_shell(&lone, "test -e rebooted") != 0);
	lone.plan.probe = true;
	lone_runner_run(&lone, "reboot-now");
	cr_assert(eq(u64, lone.report.probed.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.report.probed.code, 0));
	expect_shell("test -e rebooted");
}

/* ---- progress ---- */

Test(operations, a_pull_goes_through_its_stages)
{
	char remote[128];
	open_behind(1);
	lone_runner_run(&lone, "pull");
	lone_runner_stages(&lone, text);
	cr_assert(eq(str, text, "fetch 1/4, compare 2/4, reset 3/4, clean 4/4"));
	snprintf(remote, sizeof(remote), "%s/remote.git", lone.folder);
	lone.plan.repo_url = text_of(remote);
	lone_runner_run(&lone, "pull");
	cr_assert(eq(i64, lone.record.code, 0), "%s", lone.record.reason);
	lone_runner_stages(&lone, text);
	cr_assert(eq(str, text, "fetch 1/4, compare 2/4, reset 3/4, clean 4/4"));
}

Test(operations, a_switch_tells_its_stages_by_what_it_prints)
{
	open_here();
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\nexec >&2\necho 'building the system configuration...'\n"
		"echo 'these 2 derivations will be built:'\n"
		"echo \"building '/nix/store/abc-x.drv'...\"\n"
		"echo 'activating the configuration...'\n"
		"echo \"building '/nix/store/late.drv'...\"\n");
	lone_runner_run(&lone, "switch");
	lone_runner_stages(&lone, text);
	cr_assert(eq(str, text, "evaluate 1/3, build 2/3, activate 3/3"));
}

Test(operations, services_that_do_not_start_are_named)
{
	open_here();
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\necho 'warning: the following units failed: a.service, b.service' >&2\n"
		"echo 'more of it' >&2\nexit 4\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(i64, lone.record.code, 4));
	cr_assert(
		eq(str, lone.record.reason, "4: switched, but units failed: a.service, b.service"));
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\nexit 4\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(str, lone.record.reason, "4: switched, but units failed"));
}
