/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One runner alone: its steps, what it leaves, and what it says when the system fails it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "tests/system/lone_runner.h"

static struct lone_runner lone;
static char text[65536];

static void finish(void)
{
	lone_runner_close(&lone);
}

TestSuite(runner, .fini = finish, .timeout = 90);

static void expect(const char *needle)
{
	cr_assert(strstr(lone.record.reason, needle) != NULL, "'%s' lacks '%s'", lone.record.reason,
		needle);
}

static void expect_shell(const char *command)
{
	cr_assert(lone_runner_shell(&lone, "set -e; %s", command) == 0, "%s", command);
}

static bool has_program(const char *name)
{
	char command[64];
	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", name);
	return system(command) == 0;
}

static void launch_with(const char *script)
{
	lone_runner_file(&lone, "launcher", script, 0755);
	snprintf(lone.launcher, sizeof(lone.launcher), "%s/launcher", lone.folder);
}

/* ---- what is left ---- */

Test(runner, s15_what_proc_does_not_show_is_still_said_to_be_left)
{
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can hide /proc");
	lone_runner_open(&lone);
	/* No cgroup, and no /proc once it runs: signals find nobody. */
	launch_with("#!/bin/sh\nexec unshare -m sh -c '"
		    "mount --make-rprivate /; for m in $(sed -n \"s/.* - cgroup2 .*/&/p\" "
		    "/proc/self/mountinfo | cut -d\" \" -f5); do umount -l $m; done; "
		    "exec \"$0\"' \"$1\"\n");
	lone_runner_stub(
		&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/running\nexec sleep 1000\n");
	lone.plan.deadline_ms = 1000;
	lone_runner_start(&lone, "switch");
	lone_runner_await(&lone, "running", 5000);
	cr_assert(lone_runner_shell(
			  &lone, "nsenter -t %d -m mount -t tmpfs none /proc", (int)lone.pid) == 0);
	lone_runner_await_end(&lone, 20000);
	/* It keeps the command's place while something is left, until it is asked to go. */
	cr_assert(eq(int, kill(lone.pid, 0), 0));
	cr_assert(eq(int, kill(lone.pid, SIGTERM), 0));
	lone_runner_wait(&lone, 5000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_TIMED_OUT));
	cr_assert(ge(u64, lone.record.left_count, 1));
	expect("does not show");
	cr_assert(gt(u32, lone_runner_survivors(&lone, text), 0), "nothing survived the test");
}

Test(runner, leftovers_that_hold_the_output_are_ended_before_the_next_step)
{
	lone_runner_open(&lone);
	lone_runner_stub(&lone, "git", "#!/bin/sh\nsleep 1000 &\necho $! > $HOME/pid\n");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\nkill -0 $(cat $HOME/pid) 2>/dev/null && echo lives || echo gone\n");
	lone_runner_run(&lone, "pull-switch");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	lone_runner_output(&lone, STREAM_STDOUT, text, sizeof(text));
	cr_assert(eq(str, text, "gone\n"));
}

/* ---- a disk that fails ---- */

static void need_strace(const char *inject)
{
	char script[256];
	if (!has_program("strace"))
		cr_skip_test("skipped: there is no strace");
	snprintf(script, sizeof(script),
		"#!/bin/sh\nexec strace -D -o $HOME/strace -e trace=fsync,pwrite64 -e inject=%s "
		"\"$1\"\n",
		inject);
	launch_with(script);
}

static int count_doubles(void)
{
	/* The same bytes at the same place, written again after the fsync that failed. */
	return lone_runner_shell(&lone, "grep -F pwrite64 strace | sort | uniq -d | grep -q .") ==
	       0;
}

Test(runner, s18_a_start_that_fsync_refused_is_written_again)
{
	lone_runner_open(&lone);
	need_strace("fsync:error=EIO:when=1");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\necho built\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	cr_assert(eq(int, count_doubles(), 1));
}

Test(runner, s18_a_start_that_fsync_never_takes_is_refused_by_the_pipe)
{
	lone_runner_open(&lone);
	need_strace("fsync:error=EIO:when=1+");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.report.type, REPORT_RESULT));
	cr_assert(eq(u64, lone.report.result.outcome, OUTCOME_REFUSED));
	cr_assert(lone.report.result.kept == false);
	cr_assert(memmem(lone.report.result.reason.data, lone.report.result.reason.size,
			  "Input/output error", 18) != NULL);
	cr_assert(lone_runner_shell(&lone, "test -e ran") != 0);
}

Test(runner, s18_a_result_that_fsync_refused_is_written_again)
{
	lone_runner_open(&lone);
	need_strace("fsync:error=EIO:when=2");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\ntouch $HOME/ran\nwhile [ ! -e $HOME/go ]; do sleep 0.02; done\n");
	lone_runner_start(&lone, "switch");
	lone_runner_await(&lone, "ran", 10000);
	/* Nobody to tell it to: the disk is all there is. */
	fd_drop(&lone.reports);
	lone_runner_file(&lone, "go", "", 0644);
	lone_runner_wait(&lone, 20000);
	cr_assert(eq(int, (int)lone.record.state, RECORD_FINISHED));
	cr_assert(eq(int, count_doubles(), 1));
}

Test(runner, s18_an_outcome_that_the_disk_does_not_take_goes_up_the_pipe)
{
	lone_runner_open(&lone);
	need_strace("fsync:error=ENOSPC:when=2+");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\nexit 3\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.report.type, REPORT_RESULT));
	cr_assert(eq(u64, lone.report.result.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.report.result.code, 3));
	cr_assert(lone.report.result.kept == false);
}

Test(runner, s18_short_writes_and_a_full_disk_lose_output_and_nothing_else)
{
	lone_runner_open(&lone);
	need_strace("pwrite64:error=ENOSPC:when=6..40");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.05; done\nexit 5\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(u64, lone.report.result.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.report.result.code, 5));
}

/* Whatever single write or sync fails: the outcome comes, by the record, the pipe or both; it is
 * the true one or says that nothing was started; and what is called kept is in the record. */
static void fail_each(const char *call, const char *error, int most)
{
	char inject[96];
	for (int n = 1; n <= most; n++) {
		lone_runner_open(&lone);
		snprintf(inject, sizeof(inject), "%s:error=%s:when=%d", call, error, n);
		need_strace(inject);
		lone_runner_stub(&lone, "nixos-rebuild",
			"#!/bin/sh\necho one\necho two >&2\nsleep 0.05\necho three\nexit 3\n");
		lone_runner_start(&lone, "switch");
		int code = lone_runner_wait(&lone, 20000);
		cr_assert(lt(int, code, 1000), "%s: it died of %d", inject, code);
		cr_assert(eq(int, (int)lone.report.type, REPORT_RESULT), "%s", inject);
		const struct report_result *result = &lone.report.result;
		bool is_true = (result->outcome == OUTCOME_EXITED && result->code == 3) ||
			       result->outcome == OUTCOME_REFUSED;
		cr_assert(is_true, "%s: %llu", inject, (unsigned long long)result->outcome);
		bool is_kept = lone.record.state == RECORD_FINISHED && lone.record.code == 3;
		cr_assert(is_kept || !result->kept, "%s: kept, and not there", inject);
		lone_runner_close(&lone);
	}
}

Test(runner, s18_whichever_write_finds_the_disk_full)
{
	fail_each("pwrite64", "ENOSPC", 10);
}

Test(runner, s18_whichever_write_fails_in_the_disk)
{
	fail_each("pwrite64", "EIO", 10);
}

Test(runner, s18_whichever_sync_fails)
{
	fail_each("fsync", "EIO", 3);
	fail_each("fsync", "EDQUOT", 3);
}

Test(runner, s18_whichever_write_is_interrupted)
{
	fail_each("pwrite64", "EINTR", 10);
}

Test(runner, s18_a_quota_loses_output_and_nothing_else)
{
	lone_runner_open(&lone);
	/* 64 KiB a file: the record fits, the output does not. */
	launch_with("#!/bin/bash\ntrap '' XFSZ\nulimit -f 64\nexec \"$1\"\n");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' a\necho; exit 6\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.record.code, 6));
	cr_assert(gt(u64, lone.record.output_dropped, 200000));
	lone_runner_output(&lone, 0, text, sizeof(text));
	cr_assert(gt(u64, strlen(text), 10000));
}

/* ---- a kernel that refuses ---- */

static void refuse(const char *calls, const char *inject, const char *reason)
{
	char script[256];
	lone_runner_open(&lone);
	if (!has_program("strace"))
		cr_skip_test("skipped: there is no strace");
	snprintf(script, sizeof(script),
		"#!/bin/sh\nexec strace -D -o $HOME/strace -e trace=%s -e inject=%s \"$1\"\n",
		calls, inject);
	launch_with(script);
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_REFUSED));
	expect(reason);
	cr_assert(lone_runner_shell(&lone, "test -e ran") != 0);
}

Test(runner, s29_a_fork_that_fails_is_refused_with_the_call)
{
	refuse("clone,clone3,fork,vfork", "clone,clone3,fork,vfork:error=EAGAIN",
		"nixos-rebuild could not be started: fork: Resource temporarily unavailable");
}

Test(runner, s29_no_descriptor_left_is_refused_with_the_call)
{
	/* The first pipe is the one for signals. */
	refuse("pipe,pipe2", "pipe,pipe2:error=EMFILE:when=2+",
		"nixos-rebuild could not be started: pipe: Too many open files");
}

Test(runner, s29_without_a_cgroup_it_runs_and_its_tree_is_ended_by_signals)
{
	lone_runner_open(&lone);
	if (!has_program("strace"))
		cr_skip_test("skipped: there is no strace");
	launch_with("#!/bin/sh\nexec strace -D -o $HOME/strace -e trace=mkdir -e "
		    "inject=mkdir:error=EROFS \"$1\"\n");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\n(setsid sleep 1000 &)\ntouch $HOME/running\nsleep 1000\n");
	lone_runner_start(&lone, "switch");
	lone_runner_await(&lone, "running", 10000);
	lone_runner_say(&lone, 't');
	lone_runner_wait(&lone, 20000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_CANCELLED));
	cr_assert(eq(str, lone.record.method, "signals"));
	expect(" processes ended by signals in ");
	cr_assert(eq(u32, lone_runner_survivors(&lone, text), 0), "%s", text);
}

Test(runner, s29_a_record_on_a_read_only_disk_is_refused_by_the_pipe)
{
	lone_runner_open(&lone);
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can make a mount read-only");
	launch_with("#!/bin/sh\nexec unshare -m sh -c 'mount --make-rprivate /; "
		    "mount --bind $HOME/runs $HOME/runs; mount -o remount,bind,ro $HOME/runs; "
		    "exec \"$0\"' \"$1\"\n");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\n");
	lone_runner_run(&lone, "switch");
	cr_assert(eq(int, (int)lone.report.type, REPORT_RESULT));
	cr_assert(eq(u64, lone.report.result.outcome, OUTCOME_REFUSED));
	snprintf(text, sizeof(text), "%.*s", TEXT_ARGS(lone.report.result.reason));
	cr_assert(eq(str, text, "its record cannot be opened: Read-only file system"));
	cr_assert(lone_runner_shell(&lone, "test -e ran") != 0);
}

/* ---- a tree that ends clean ---- */

static const char *const author[] = {"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.org",
	"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.org"};

static void open_with_remote(void)
{
	lone_runner_open(&lone);
	for (size_t i = 0; i < 4; i++)
		lone.variables[i] = (char *)author[i];
	expect_shell("cd repo; git init -q -b main .; echo '{}' > flake.lock; git add -A; "
		     "git -c user.name=t -c user.email=t@example.org commit -q -m first; "
		     "git clone -q --bare . ../remote.git; git remote add origin ../remote.git; "
		     "git fetch -q; git branch -q -u origin/main");
	lone_runner_stub(
		&lone, "nix", "#!/bin/sh\nfor last; do :; done\ndate +%N > $last/flake.lock\n");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/switched\n");
}

static void expect_clean(void)
{
	expect_shell("cd repo; test -z \"$(git status --porcelain)\"; test ! -e .git/index.lock; "
		     "test $(git rev-parse HEAD) = $(git -C ../remote.git rev-parse main)");
	cr_assert(lone_runner_shell(&lone, "test -e switched") != 0, "it was switched");
}

Test(runner, an_update_that_is_cancelled_ends_clean)
{
	open_with_remote();
	lone_runner_stub(&lone, "nix",
		"#!/bin/sh\nfor last; do :; done\ndate > $last/flake.lock\ntouch $HOME/running\n"
		"sleep 1000\n");
	lone_runner_start(&lone, "update");
	lone_runner_await(&lone, "running", 10000);
	lone_runner_say(&lone, 't');
	lone_runner_wait(&lone, 20000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_CANCELLED));
	expect("cancelled in step lock");
	expect_clean();
}

static void hang_in(const char *verb, const char *before)
{
	char script[512];
	snprintf(script, sizeof(script),
		"#!/bin/sh\ncase \" $* \" in\n*' %s '*) %s\ntouch $HOME/running\n"
		"trap '' TERM; while :; do sleep 0.1; done;;\nesac\n"
		"PATH=${PATH#*:} exec git \"$@\"\n",
		verb, before);
	lone_runner_stub(&lone, "git", script);
}

Test(runner, an_update_that_is_out_of_time_after_its_commit_takes_it_back)
{
	open_with_remote();
	hang_in("push", "");
	lone.plan.deadline_ms = 3000;
	lone_runner_run(&lone, "update");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_TIMED_OUT));
	expect("timed out after 3 s in step push; ");
	expect_clean();
}

Test(runner, an_update_killed_in_its_commit_leaves_no_lock_of_gits)
{
	open_with_remote();
	hang_in("commit", "touch $HOME/repo/.git/index.lock");
	lone_runner_start(&lone, "update");
	lone_runner_await(&lone, "running", 10000);
	lone_runner_say(&lone, 'k');
	lone_runner_wait(&lone, 20000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_CANCELLED));
	expect_clean();
}

Test(runner, cleaning_up_has_a_time_of_its_own_and_says_when_it_fails)
{
	open_with_remote();
	lone_runner_stub(&lone, "nix", "#!/bin/sh\nexit 1\n");
	hang_in("checkout", "");
	lone_runner_run(&lone, "update");
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	expect("nix exited 1; cleaning up failed in step restore: timed out");
}

/* ---- the agent's own clone ---- */

Test(runner, an_own_clone_outlives_a_dead_git_and_a_new_address)
{
	open_with_remote();
	expect_shell("git clone -q --bare remote.git second.git; git clone -q second.git other; "
		     "cd other; git checkout -q -b next; echo news > news; git add news; "
		     "git -c user.name=t -c user.email=t@example.org commit -q -m second; "
		     "git push -q origin next; rm -rf ../repo");
	char first[128], second[128];
	snprintf(first, sizeof(first), "%s/remote.git", lone.folder);
	snprintf(second, sizeof(second), "%s/second.git", lone.folder);
	lone.plan.repo_url = text_of(first);
	lone_runner_run(&lone, "pull");
	cr_assert(eq(int, (int)lone.record.code, 0), "%s", lone.record.reason);
	expect_shell("touch repo/.git/index.lock repo/.git/HEAD.lock repo/.git/config.lock");
	lone.plan.repo_url = text_of(second);
	lone.plan.branch = text_of("next");
	lone_runner_run(&lone, "pull");
	cr_assert(eq(int, (int)lone.record.code, 0), "%s", lone.record.reason);
	expect_shell("test -e repo/news; "
		     "test $(git -C repo rev-parse HEAD) = $(git -C second.git rev-parse next)");
}

/* ---- looks ---- */

Test(runner, a_look_returns_standard_output_whatever_else_is_said)
{
	lone_runner_open(&lone);
	lone_runner_stub(&lone, "git",
		"#!/bin/sh\necho warning >&2\nsleep 0.2\necho one\nsleep 0.2\necho two\n");
	lone.plan.probe = true;
	lone_runner_run(&lone, "git-head");
	cr_assert(eq(int, (int)lone.report.type, REPORT_PROBED));
	snprintf(text, sizeof(text), "%.*s", TEXT_ARGS(lone.report.probed.output));
	cr_assert(eq(str, text, "one\ntwo\n"));
}

Test(runner, the_time_of_a_command_begins_with_its_turn)
{
	char runs[128];
	lone_runner_open(&lone);
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\nsleep 0.3\n");
	/* Another runner holds the folder, as one does whose tree does not go. */
	snprintf(runs, sizeof(runs), "%s/runs", lone.folder);
	int turn = open(runs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(turn >= 0 && flock(turn, LOCK_EX | LOCK_NB) == 0);
	lone.plan.deadline_ms = 2000;
	lone_runner_start(&lone, "switch");
	poll(NULL, 0, 3000);
	close(turn);
	lone_runner_wait(&lone, 10000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	cr_assert(lt(u64, lone.record.took_ms, 2000));
}

/* The next agent has read the records, perhaps, and takes this command for one that waits. */
Test(runner, s19_one_whose_agent_is_gone_before_it_has_its_record_begins_nothing)
{
	char runs[128];
	lone_runner_open(&lone);
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/ran\n");
	snprintf(runs, sizeof(runs), "%s/runs", lone.folder);
	int turn = open(runs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(turn >= 0 && flock(turn, LOCK_EX | LOCK_NB) == 0);
	lone_runner_start(&lone, "switch");
	fd_drop(&lone.reports);
	close(turn);
	lone_runner_wait(&lone, 10000);
	cr_assert(eq(int, (int)lone.record.state, RECORD_WAITING));
	expect_shell("test ! -e ran");
}

Test(runner, s16_a_cancel_does_not_wait_for_a_child_that_keeps_stdout)
{
	lone_runner_open(&lone);
	lone_runner_stub(
		&lone, "nixos-rebuild", "#!/bin/sh\nsleep 1000 &\ntouch $HOME/running\nexit 3\n");
	lone_runner_start(&lone, "switch");
	lone_runner_await(&lone, "running", 5000);
	poll(NULL, 0, 200);
	lone_runner_say(&lone, 't');
	lone_runner_wait(&lone, 10000);
	/* Its own end was before. */
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_EXITED));
	cr_assert(eq(i64, lone.record.code, 3));
	cr_assert(lt(u64, lone.record.took_ms, OUTPUT_HELD_MS));
	cr_assert(eq(u64, lone.record.ended_count, 1));
}

/* ---- what it says at its end ---- */

Test(runner, s17_what_a_command_says_when_it_is_ended_is_kept)
{
	lone_runner_open(&lone);
	if (!has_program("python3"))
		cr_skip_test("skipped: there is no python3");
	/* More than one look of the runner's takes, and then it is gone. */
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/usr/bin/env python3\nimport os, signal, time\n"
		"def end(*ignored):\n"
		"    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
		"    data = b'x' * 3000000 + b'\\nlast words\\n'\n"
		"    while data:\n"
		"        data = data[os.write(1, data):]\n"
		"    os._exit(3)\n"
		"signal.signal(signal.SIGTERM, end)\n"
		"open(os.environ['HOME'] + '/running', 'w').close()\n"
		"while True:\n"
		"    time.sleep(100)\n");
	lone.plan.grace_ms = 10000;
	lone_runner_start(&lone, "switch");
	lone_runner_await(&lone, "running", 10000);
	lone_runner_say(&lone, 't');
	lone_runner_wait(&lone, 20000);
	cr_assert(eq(int, (int)lone.record.outcome, OUTCOME_CANCELLED));
	cr_assert(eq(u64, lone.record.output_bytes, 3000012));
}

/* The line that git did not end is no part of the next step's first one. */
Test(runner, a_line_belongs_to_its_step)
{
	lone_runner_open(&lone);
	lone_runner_stub(&lone, "git", "#!/bin/sh\nprintf 'no end' >&2\n");
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\necho 'warning: the following units failed: a.service' >&2\nexit 4\n");
	lone_runner_run(&lone, "pull-switch");
	expect("4: switched, but units failed: a.service");
}

/* ---- what a step is given ---- */

Test(runner, a_step_sees_no_repository_but_its_own)
{
	lone_runner_open(&lone);
	lone.variables[0] = "GIT_DIR=/nowhere";
	lone.variables[1] = "GIT_WORK_TREE=/nowhere";
	lone.variables[2] = "GIT_INDEX_FILE=/nowhere";
	lone.variables[3] = "GIT_CONFIG_PARAMETERS='a.b=c'";
	lone_runner_stub(&lone, "nixos-rebuild",
		"#!/bin/sh\nenv | grep -E '^GIT_(DIR|WORK_TREE|INDEX_FILE|CONFIG_PARAMETERS)=' ; "
		"echo end\n");
	lone_runner_run(&lone, "switch");
	lone_runner_output(&lone, STREAM_STDOUT, text, sizeof(text));
	cr_assert(eq(str, text, "end\n"));
}

Test(runner, a_quote_in_the_path_of_the_key_is_only_a_quote)
{
	lone_runner_open(&lone);
	lone.plan.ssh_key = text_of("/a b'; touch $HOME/broken; '/key");
	lone_runner_stub(&lone, "ssh", "#!/bin/sh\nfor last; do :; done\necho \"key $last\"\n");
	lone_runner_stub(&lone, "nixos-rebuild", "#!/bin/sh\nsh -c \"$GIT_SSH_COMMAND\"\n");
	lone_runner_run(&lone, "switch");
	lone_runner_output(&lone, STREAM_STDOUT, text, sizeof(text));
	cr_assert(eq(str, text, "key /a b'; touch $HOME/broken; '/key\n"));
	cr_assert(lone_runner_shell(&lone, "test -e broken") != 0);
}

Test(runner, a_folder_of_commands_that_others_can_write_to_is_refused)
{
	lone_runner_open(&lone);
	lone_runner_file(&lone, "ops.d/mine", "#!/bin/sh\ntouch $HOME/ran\n", 0755);
	expect_shell("chmod 0777 ops.d");
	lone_runner_run(&lone, "mine");
	cr_assert(ne(i64, lone.record.code, 0));
	expect("nobody else can write to");
	cr_assert(lone_runner_shell(&lone, "test -e ran") != 0);
	expect_shell("chmod 0755 ops.d");
	lone_runner_run(&lone, "mine");
	expect_shell("test -e ran");
}

Test(runner, more_test_scripts_than_the_most_are_an_error_and_no_choice)
{
	lone_runner_open(&lone);
	expect_shell("cd repo/hosts/h1/tests; for i in $(seq 1025); do echo > T$i.sh; done");
	lone_runner_run(&lone, "test");
	cr_assert(ne(i64, lone.record.code, 0));
	expect("there are more than 1024 test scripts");
}
