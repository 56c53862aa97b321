/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whole trees of processes, ended by their runner or, when that is dead, by the agent. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "tests/system/world.h"

#define USER  61234 /* an account that only the test's own mounts know */
#define OTHER 61235 /* and up: one for each bomb, as the limit is an account's */

static struct world world;
static char text[WORLD_TEXT_BYTES];
static char group[300]; /* a cgroup that the test made */

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
	char words[4096], command[8192];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "cd %s && exec >>shell.log 2>&1; %s", world.folder,
		words);
	return system(command);
}

static void finish(void)
{
	if (world.folder[0])
		world_close(&world);
	if (group[0])
		rmdir(group);
}

TestSuite(trees, .fini = finish, .timeout = 120);

/* One stub that leaves the session twice over, with a secret in its environment. */
#define DAEMONS                                                    \
	"(setsid sh -c 'setsid sleep 1001 & exec sleep 1002' &)\n" \
	"(setsid sleep 1003 &)\nsleep 1004 &\n"

static void open_world(void)
{
	world_open(&world, "");
	world_set(&world, "ZOO_SECRET", "%s-zoo", world.host);
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
}

static void switch_and_await(void)
{
	world_command(&world, "switch");
	bool is_running = world_until(&world, 10000, world_has_file, "running");
	char *log = world_log(&world);
	cr_assert(is_running, "%s", log);
	free(log);
}

/* By the secret, from outside: the agent's own processes have it too. */
static uint32_t count_survivors(void)
{
	char names[WORLD_TEXT_BYTES], secret[96];
	uint32_t count = 0;
	snprintf(secret, sizeof(secret), "ZOO_SECRET=%s-zoo", world.host);
	world_survivors(&world, secret, names);
	for (char *at = names; (at = strchr(at, '(')); at++) {
		bool is_ours = at - names >= 15 && strncmp(at - 15, "nixfleet-", 9) == 0;
		count += !is_ours;
	}
	return count;
}

static bool nobody_survives(struct world *unused, void *unused_too)
{
	(void)unused;
	(void)unused_too;
	return count_survivors() == 0;
}

/* By pid; the agent's own are left. */
static void kill_survivors(void)
{
	char names[WORLD_TEXT_BYTES], secret[96];
	snprintf(secret, sizeof(secret), "ZOO_SECRET=%s-zoo", world.host);
	world_survivors(&world, secret, names);
	for (char *at = names; (at = strchr(at, '(')); at++) {
		bool is_ours = at - names >= 15 && strncmp(at - 15, "nixfleet-", 9) == 0;
		pid_t pid = (pid_t)atoi(at + 1);
		if (!is_ours && pid > 1)
			kill(pid, SIGKILL);
	}
}

static pid_t runner_pid(void)
{
	json_t *status = world_status(&world);
	json_t *run = json_array_get(json_object_get(status, "runs"), 0);
	pid_t pid = (pid_t)json_integer_value(json_object_get(run, "pid"));
	json_decref(status);
	cr_assert(pid > 1);
	return pid;
}

/* The helpers with a runner that is started in a file system without cgroups. */
static void hide_cgroups(void)
{
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can hide the cgroups");
	cr_assert(shell("mkdir -p libexec && cd libexec && b=%s; "
			"ln -s $b/worker/nixfleet-worker . && "
			"ln -s $b/supervisor/runner/nixfleet-runner real",
			  getenv("NIXFLEET_BUILD")) == 0);
	snprintf(text, sizeof(text),
		"#!/bin/sh\nexec unshare -m sh -c 'mount --make-rprivate /; "
		"for m in $(grep \" - cgroup2 \" /proc/self/mountinfo | cut -d\" \" -f5); do "
		"umount -l $m; done; exec \"$0\"' %s/libexec/real\n",
		world.folder);
	world_file(&world, "libexec/nixfleet-runner", text, 0755);
	snprintf(world.libexec, sizeof(world.libexec), "%s/libexec", world.folder);
}

static bool can_make_cgroups(void)
{
	return system("m=$(grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f5 | head -1); "
		      "c=$m$(sed -n s/^0:://p /proc/self/cgroup)/nixtest-$$; "
		      "mkdir $c 2>/dev/null && rmdir $c") == 0;
}

/* ---- a runner that dies ---- */

static void kill_runner_and_expect(const char *method)
{
	char *runs;
	world_stub(
		&world, "nixos-rebuild", "#!/bin/sh\n" DAEMONS "touch $HOME/running\nsleep 1000\n");
	world_agent_start_registered(&world);
	switch_and_await();
	kill(runner_pid(), SIGKILL);
	world_expect_outcomes(&world, 1, 10000);
	world_expect(&world, "comment", "its runner died in step evaluate");
	world_expect(&world, "comment", method);
	cr_assert(world_until(&world, 1000, nobody_survives, NULL));
	cr_assert(eq(int, world_nfctl(&world, "runs --json", &runs), 0));
	json_t *list = json_loads(runs, 0, NULL);
	json_t *run = json_array_get(list, 0);
	cr_assert(strstr(method, json_string_value(json_object_get(run, "method"))) != NULL);
	cr_assert(ge(i64, json_integer_value(json_object_get(run, "ended_count")), 4));
	cr_assert(eq(i64, json_integer_value(json_object_get(run, "left_count")), 0));
	json_decref(list);
	free(runs);
	cr_assert(eq(int, world_nfctl(&world, "runs", &runs), 0));
	cr_assert(strstr(runs, method) != NULL, "%s", runs);
	free(runs);
}

Test(trees, s19_what_a_killed_runner_left_is_ended_by_its_cgroup)
{
	if (!can_make_cgroups())
		cr_skip_test("skipped: no cgroup can be made here");
	open_world();
	kill_runner_and_expect("processes ended by cgroup in ");
}

Test(trees, s19_what_a_killed_runner_left_is_ended_without_a_cgroup)
{
	open_world();
	hide_cgroups();
	kill_runner_and_expect("processes ended by signals in ");
}

/* Of a pull: a switch may go on in a unit of its own, and its runner is given the time for that. */
Test(trees, s19_a_stopped_runner_is_killed_beyond_its_deadline_and_its_tree_with_it)
{
	open_world();
	world_set(&world, "NIXFLEET_TIMEOUT_PULL", "1");
	world_stub(&world, "git",
		"#!/bin/sh\ncase \" $* \" in *' pull '*) ;; *) PATH=${PATH#*:} exec git \"$@\";; "
		"esac\n" DAEMONS "touch $HOME/running\nsleep 1000\n");
	world_agent_start_registered(&world);
	world_command(&world, "pull");
	cr_assert(world_until(&world, 10000, world_has_file, "running"));
	kill(runner_pid(), SIGSTOP);
	/* Deadline, grace, tree, and what a runner is given beyond. */
	world_expect_outcomes(&world, 1, 1000 + 10000 + 5000 + 20000 + 10000);
	world_expect(&world, "comment",
		"timed out after 1 s in step fetch; its runner hung and was killed; ");
	world_expect(&world, "comment", "processes ended by ");
	cr_assert(world_until(&world, 1000, nobody_survives, NULL));
}

/* ---- a bomb ---- */

/* The limit is the kernel's and is looked at before the bomb goes off: without it, none does. */
static void end_a_bomb(void)
{
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can run it as an account of its own");
	if (system("command -v prlimit >/dev/null && command -v setpriv >/dev/null") != 0)
		cr_skip_test("skipped: there is no prlimit");
	snprintf(text, sizeof(text),
		"#!/bin/sh\nexec prlimit --nproc=200:200 setpriv --reuid %d --regid %d "
		"--clear-groups bash -c '[ \"$(ulimit -Hu)\" = 200 ] || exit 9; "
		"touch %s/running; bomb() { while :; do bomb & sleep 0.01; done; }; bomb'\n",
		OTHER + getpid() % 1000, OTHER, world.folder);
	cr_assert(shell("chmod 1777 .") == 0);
	world_stub(&world, "nixos-rebuild", text);
	world_agent_start_registered(&world);
	switch_and_await();
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "comment", "cancelled in step switch; ");
	world_expect(&world, "comment", " processes ended by ");
	cr_assert(world_until(&world, 1000, nobody_survives, NULL));
}

Test(trees, s15_a_fork_bomb_below_a_limit_is_ended)
{
	open_world();
	end_a_bomb();
}

Test(trees, s15_a_fork_bomb_below_a_limit_is_ended_without_a_cgroup)
{
	open_world();
	hide_cgroups();
	end_a_bomb();
}

/* ---- an ordinary user whose commands run as root ---- */

/* The agent as an account of its own with sudo, in a file system of its own: nothing of the machine
 * is changed. enter: a shell command before that, as root. */
static void as_user(const char *enter)
{
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can make an account");
	if (system("command -v sudo >/dev/null && command -v setpriv >/dev/null") != 0)
		cr_skip_test("skipped: there is no sudo");
	snprintf(text, sizeof(text),
		"setpriv --reuid %d --regid %d --clear-groups test -x "
		"$NIXFLEET_BUILD/supervisor/nixfleet-agent",
		USER, USER);
	if (system(text) != 0)
		cr_skip_test("skipped: another account cannot read the build folder");
	cr_assert(shell("cp /etc/passwd passwd; cp /etc/shadow shadow; "
			"echo 'nixtest:x:%d:%d::%s:/bin/sh' >> passwd; "
			"echo 'nixtest:*:19000:0:99999:7:::' >> shadow; "
			"printf '%%s\\n' 'Defaults !env_reset, !secure_path' "
			"'nixtest ALL=(root) NOPASSWD: %s/bin/nixos-rebuild' > sudoers; "
			"chmod 0440 sudoers; chmod 0640 shadow; chown -R %d:%d state repo bin; "
			"chown %d:%d .; chmod 0755 .",
			  USER, USER, world.folder, world.folder, USER, USER, USER, USER) == 0);
	char script[2048];
	snprintf(script, sizeof(script),
		"#!/bin/sh\n%s\nexport W=%s\nexec unshare -m sh -c 'mount --make-rprivate /\n"
		"for f in passwd shadow sudoers; do mount --bind $W/$f /etc/$f; done\n"
		"exec setpriv --reuid %d --regid %d --clear-groups \"$@\"' sh \"$@\"\n",
		enter, world.folder, USER, USER);
	world_file(&world, "launcher", script, 0755);
	snprintf(world.launcher, sizeof(world.launcher), "%s/launcher", world.folder);
	snprintf(script, sizeof(script),
		"#!/bin/sh\nid -u > %s/user\n" DAEMONS "touch %s/running\nsleep 1000\n",
		world.folder, world.folder);
	world_stub(&world, "nixos-rebuild", script);
}

static void expect_root(void)
{
	cr_assert(shell("test \"$(cat user)\" = 0") == 0, "the command did not run as root");
}

Test(trees, s15_root_children_of_an_ordinary_user_are_named_when_they_cannot_be_ended)
{
	char *runs;
	open_world();
	as_user("true");
	world_agent_start_registered(&world);
	switch_and_await();
	expect_root();
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "comment", "cancelled in step switch");
	cr_assert(eq(int, world_nfctl(&world, "runs", &runs), 0));
	cr_assert(strstr(runs, "processes of root left") &&
			  strstr(runs, "the service must delegate its cgroup"),
		"%s", runs);
	free(runs);
	cr_assert(gt(u32, count_survivors(), 0), "then why does it say so?");
	/* Their place is taken: the next command waits until they are gone, and is told why. */
	int two = 2;
	world_command(&world, "pull");
	cr_assert(world_until(&world, 10000, world_status_is, "queued=1"));
	cr_assert(world_until(&world, 5000, world_status_is,
		"why=processes of a command that ended are left: the next one waits until they "
		"are gone"));
	cr_assert(eq(int, world_nfctl(&world, "why", &runs), 1));
	cr_assert(strstr(runs, "1 command behind what is left of") != NULL, "%s", runs);
	free(runs);
	/* Nor does the patience with a runner that said its result end that. */
	cr_assert(not(world_until(&world, RUNNER_OVERDUE_MS + 3000, world_status_is, "queued=0")));
	kill_survivors();
	cr_assert(world_until(&world, 10000, world_has_outcomes, &two));
}

Test(trees, s15_root_children_of_an_ordinary_user_are_ended_by_a_delegated_cgroup)
{
	open_world();
	if (!can_make_cgroups())
		cr_skip_test("skipped: no cgroup can be made here");
	FILE *pipe = popen(
		"grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f5 | head -1", "r");
	cr_assert(pipe && fgets(text, sizeof(text), pipe));
	pclose(pipe);
	text[strcspn(text, "\n")] = '\0';
	snprintf(group, sizeof(group), "%.200s/nixtest-%s", text, world.host);
	char enter[WORLD_TEXT_BYTES * 4];
	snprintf(enter, sizeof(enter),
		"mkdir %s && chown %d %s %s/cgroup.procs %s/cgroup.subtree_control && "
		"echo 0 > %s/cgroup.procs",
		group, USER, group, group, group, group);
	as_user(enter);
	world_agent_start_registered(&world);
	switch_and_await();
	expect_root();
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "comment", "cancelled in step switch; ");
	world_expect(&world, "comment", " ended by cgroup in ");
	cr_assert(world_until(&world, 1000, nobody_survives, NULL));
}
