/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent as a service of a real systemd: our unit, and the older one that most hosts have. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/system/nspawn.h"

#define USER 61234

static struct world world;
static struct nspawn machine;
static char text[WORLD_TEXT_BYTES];

static void finish(void)
{
	nspawn_close(&machine);
	if (world.folder[0])
		world_close(&world);
}

TestSuite(machine, .fini = finish, .timeout = 300);

/* The agent's variables as a file that systemd reads. */
static void write_variables(const char *path)
{
	char lines[WORLD_VARIABLES_MAX * 128] = "";
	for (uint32_t i = 0; i < world.variable_count; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s\n",
			world.variables[i]);
	world_file(&world, path, lines, 0644);
}

/* Ours, from the build, with what differs in a test. */
static void use_our_unit(const char *more)
{
	char drop_in[2048], path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "cp $NIXFLEET_BUILD/etc/nixfleet-agent.service %s/unit",
		world.folder);
	cr_assert(eq(int, system(path), 0));
	snprintf(drop_in, sizeof(drop_in),
		"[Service]\nExecStart=\nExecStart=%s/supervisor/nixfleet-agent --config /dev/null\n"
		"EnvironmentFile=%s/variables\nStandardError=append:%s/agent.log\n%s",
		getenv("NIXFLEET_BUILD"), world.folder, world.folder, more);
	world_file(&world, "drop-in", drop_in, 0644);
	nspawn_bind(&machine, "unit", "/etc/systemd/system/nixfleet-agent.service");
	nspawn_bind(&machine, "drop-in", "/etc/systemd/system/nixfleet-agent.service.d/test.conf");
}

/* The one that hosts have: Type=simple, an account of its own, no delegation, the whole cgroup
 * killed on stop. */
static void use_older_unit(const char *user)
{
	char unit[2048];
	snprintf(unit, sizeof(unit),
		"[Unit]\nWants=network-online.target\nAfter=network-online.target\n"
		"[Service]\nType=simple\n%sExecStart=%s/supervisor/nixfleet-agent --config "
		"/dev/null\nRestart=always\nRestartSec=3\nRestartForceExitStatus=101\n"
		"StateDirectory=nixfleet-agent\nStateDirectoryMode=0700\n"
		"EnvironmentFile=%s/variables\nStandardError=append:%s/agent.log\n",
		user, getenv("NIXFLEET_BUILD"), world.folder, world.folder);
	world_file(&world, "unit", unit, 0644);
	nspawn_bind(&machine, "unit", "/etc/systemd/system/nixfleet-agent.service");
}

/* An activation as nixos-rebuild hands it to systemd: in a unit outside the tree, forgotten as soon
 * as it ends. It goes on until `go` is there and exits with what stands in `code`. */
static void stub_activation(void)
{
	char script[2048];
	snprintf(script, sizeof(script),
		"#!/bin/sh\nunset LD_LIBRARY_PATH\ntouch %s/running\n"
		"exec systemd-run --collect --no-ask-password --pipe --quiet --service-type=exec "
		"--unit=nixos-rebuild-switch-to-configuration --wait sh -c 'touch %s/activating; "
		"while [ ! -e %s/go ]; do sleep 0.1; done; exit $(cat %s/code)'\n",
		world.folder, world.folder, world.folder, world.folder);
	world_stub(&world, "nixos-rebuild", script);
}

static void start_agent(void)
{
	world_set(&world, "LD_LIBRARY_PATH", "%s/lib", world.folder);
	world_set(&world, "NIXFLEET_URL", "http://127.0.0.1:%d", world.port);
	world_set(&world, "NIXFLEET_ALLOW_INSECURE_HTTP", "1");
	world_set(&world, "NIXFLEET_TOKEN", "shared-token");
	write_variables("variables");
	cr_assert(eq(int, nspawn_shell(&machine, NULL, "systemctl start nixfleet-agent"), 0));
	bool is_seen = world_until(&world, 20000, world_is_registered, NULL);
	char *log = world_log(&world);
	cr_assert(is_seen, "%s", log);
	free(log);
}

static void expect_isolation(const char *needle)
{
	json_t *status = world_status(&world);
	const char *isolation = json_string_value(json_object_get(status, "isolation"));
	cr_assert(isolation && strstr(isolation, needle), "'%s' lacks '%s'",
		isolation ? isolation : "", needle);
	json_decref(status);
}

static void begin(void)
{
	nspawn_open(&machine, &world);
	world_set(&world, "NIXFLEET_TIMEOUT_GRACE", "1");
}

static void begin_activation(const char *more, const char *code)
{
	begin();
	use_our_unit(more);
	stub_activation();
	world_file(&world, "code", code, 0644);
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, world_has_file, "activating"));
}

/* The outcome waits for the activation, and so does the next command. */
static void expect_no_outcome_yet(int count)
{
	world_command(&world, "pull");
	cr_assert(world_until(&world, 5000, world_status_is, "queued=1"));
	bool has = world_until(&world, 3000, world_has_outcomes, &count);
	cr_assert(has == false, "an outcome while the activation goes on");
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"systemctl is-active nixos-rebuild-switch-to-configuration"),
		0));
}

Test(machine, s32_a_cancel_during_an_activation_waits_for_its_true_end)
{
	begin_activation("", "3");
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	expect_no_outcome_yet(1);
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 15000);
	cr_assert(world_until(&world, 10000, world_status_is, "queued=0"));
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "the activation in nixos-rebuild-switch-to-configuration.service "
			       "exited 3") != NULL,
		"%s", runs);
	free(runs);
}

Test(machine, s32_a_deadline_during_an_activation_ends_in_its_success)
{
	begin();
	use_our_unit("");
	stub_activation();
	world_set(&world, "NIXFLEET_TIMEOUT_SWITCH", "3");
	world_file(&world, "code", "0", 0644);
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, world_has_file, "activating"));
	cr_assert(nspawn_until(&machine, 20000,
		"grep -q 'activation continues' %s/state/runs/*.out", world.folder));
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "comment", "switch");
	world_outcome(&world, "status", text);
	cr_assert(eq(str, text, "ok"));
}

Test(machine, s32_a_restart_of_the_agent_during_an_activation_changes_nothing)
{
	begin_activation("", "5");
	cr_assert(eq(int, nspawn_shell(&machine, NULL, "systemctl restart nixfleet-agent"), 0));
	cr_assert(world_until(&world, 20000, world_status_is, "why=a command runs"));
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 15000);
	world_expect(&world, "comment", "exited 5");
}

Test(machine, s32_a_runner_killed_during_an_activation_is_settled_by_its_end)
{
	begin_activation("", "6");
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = nixfleet-runner ] "
			"&& kill -9 ${p#/proc/}; done; true"),
		0));
	expect_no_outcome_yet(1);
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 60000);
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "its runner died; the activation in "
			       "nixos-rebuild-switch-to-configuration.service exited 6") != NULL,
		"%s", runs);
	free(runs);
}

/* As while systemd executes itself anew: `deaf` looks are not answered, the others are. */
static void stub_systemctl(void)
{
	char script[2048];
	snprintf(script, sizeof(script),
		"#!/bin/sh\nunset LD_LIBRARY_PATH\n"
		"case \"$*\" in *nixos-rebuild*) n=$(cat %s/deaf)\n"
		"[ $n -gt 0 ] && { echo $((n - 1)) > %s/deaf; exit 1; };; esac\n"
		"exec /usr/bin/systemctl \"$@\"\n",
		world.folder, world.folder);
	world_stub(&world, "systemctl", script);
}

/* The first look, before the switch begins, and the first one after it ended have no answer. */
Test(machine, s32_a_systemd_that_does_not_answer_at_once_hides_no_activation)
{
	begin();
	use_our_unit("");
	stub_activation();
	stub_systemctl();
	world_file(&world, "code", "4", 0644);
	world_file(&world, "deaf", "0", 0644);
	nspawn_boot(&machine);
	start_agent();
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"systemd-run --unit=nixos-rebuild-switch-to-configuration sleep 1d"),
		0));
	world_file(&world, "deaf", "2", 0644);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "comment", "an activation that goes on in nixos-rebuild");
	cr_assert(world_has_file(&world, "running") == false);
	cr_assert(eq(int,
		nspawn_shell(
			&machine, NULL, "systemctl stop nixos-rebuild-switch-to-configuration"),
		0));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, world_has_file, "activating"));
	world_file(&world, "deaf", "3", 0644);
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	expect_no_outcome_yet(2);
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 2, 15000);
	cr_assert(world_until(&world, 10000, world_status_is, "queued=0"));
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "nixos-rebuild-switch-to-configuration.service exited 4") != NULL,
		"%s", runs);
	free(runs);
}

/* The journal hears of the end only a little after systemd answers again. */
Test(machine, s32_a_journal_that_lags_behind_a_silent_systemd_is_waited_for)
{
	char script[2048];
	begin();
	use_our_unit("");
	stub_activation();
	stub_systemctl();
	snprintf(script, sizeof(script),
		"#!/bin/sh\nunset LD_LIBRARY_PATH\n[ $(cat %s/deaf) = 0 ] || exit 1\n"
		"[ -e %s/lagged ] || { touch %s/lagged; exit 0; }\nexec /usr/bin/journalctl "
		"\"$@\"\n",
		world.folder, world.folder, world.folder);
	world_stub(&world, "journalctl", script);
	world_file(&world, "code", "4", 0644);
	world_file(&world, "deaf", "0", 0644);
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 20000, world_has_file, "activating"));
	snprintf(script, sizeof(script), "%s/lagged", world.folder);
	cr_assert(eq(int, unlink(script), 0));
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	cr_assert(nspawn_until(&machine, 20000,
		"grep -q 'activation continues' %s/state/runs/*.out", world.folder));
	world_file(&world, "deaf", "9", 0644);
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 20000);
	char *runs;
	world_nfctl(&world, "runs", &runs);
	cr_assert(strstr(runs, "nixos-rebuild-switch-to-configuration.service exited 4") != NULL,
		"%s", runs);
	free(runs);
}

/* Never: nothing is begun that might meet an activation, and the answer says why. */
Test(machine, s32_a_systemd_that_never_answers_refuses_a_switch)
{
	begin();
	use_our_unit("");
	stub_activation();
	stub_systemctl();
	world_file(&world, "deaf", "1000", 0644);
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 40000);
	world_expect(&world, "comment",
		"systemctl does not say whether an activation goes on in nixos-rebuild");
	cr_assert(world_has_file(&world, "running") == false);
}

/* No activation of home-manager's goes on outside, so an account without the system's bus may
 * switch.
 */
Test(machine, s32_home_manager_needs_no_answer_of_systemd)
{
	char text[WORLD_TEXT_BYTES];
	begin();
	use_our_unit("");
	world_stub(&world, "home-manager", "#!/bin/sh\nexit 0\n");
	world_set(&world, "NIXFLEET_MANAGER", "home-manager");
	stub_systemctl();
	world_file(&world, "deaf", "1000", 0644);
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 15000);
	world_outcome(&world, "status", text);
	cr_assert(eq(str, text, "ok"));
}

Test(machine, s05_a_switch_that_restarts_the_service_is_reported_once_and_truly)
{
	begin();
	use_our_unit("");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nunset LD_LIBRARY_PATH\nsystemctl restart nixfleet-agent\necho done\n"
		"exit 7\n");
	nspawn_boot(&machine);
	start_agent();
	expect_isolation("the service delegates its cgroup");
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 30000);
	world_expect(&world, "comment", "nixos-rebuild exited 7");
	cr_assert(world_until(&world, 10000, world_status_is, "owed=0"));
	cr_assert(eq(u32, world_count(&world, "/status"), 1));
	char *log = world_log(&world);
	cr_assert(strstr(log, "Another agent instance") == NULL, "%s", log);
	free(log);
}

Test(machine, s22_a_frozen_supervisor_is_replaced_and_its_command_reported)
{
	begin();
	use_our_unit("WatchdogSec=4\n");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\ntouch $HOME/running\nwhile [ ! -e $HOME/go ]; do sleep 0.1; done\n"
		"exit 8\n");
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_file, "running"));
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"systemctl show -P MainPID nixfleet-agent > %s/pid && "
			"kill -STOP $(cat %s/pid)",
			world.folder, world.folder),
		0));
	cr_assert(nspawn_until(&machine, 30000,
		"p=$(systemctl show -P MainPID nixfleet-agent); [ $p != 0 ] && [ $p != $(cat "
		"%s/pid) ] "
		"&& systemctl is-active nixfleet-agent",
		world.folder));
	cr_assert(world_until(&world, 20000, world_status_is, "why=a command runs"));
	world_file(&world, "go", "", 0644);
	world_expect_outcomes(&world, 1, 20000);
	world_expect(&world, "comment", "nixos-rebuild exited 8");
}

/* ---- the older unit ---- */

static void begin_as_user(const char *stub)
{
	char lines[WORLD_TEXT_BYTES];
	begin();
	snprintf(lines, sizeof(lines), "User=nixtest\nEnvironment=HOME=%s\n", world.folder);
	use_older_unit(lines);
	world_stub(&world, "nixos-rebuild", stub);
	nspawn_boot(&machine);
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"useradd -u %d -d %s nixtest && "
			"printf '%%s\\n' 'Defaults !env_reset, !secure_path' "
			"'nixtest ALL=(root) NOPASSWD: %s/bin/nixos-rebuild' > "
			"/etc/sudoers.d/nixtest && chmod 0440 /etc/sudoers.d/nixtest && "
			"chown -R nixtest %s/state %s/repo %s/bin && chown nixtest %s",
			USER, world.folder, world.folder, world.folder, world.folder, world.folder,
			world.folder),
		0));
	start_agent();
	expect_isolation("a stop of the service would end a running command");
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_file, "running"));
	cr_assert(nspawn_shell(&machine, NULL, "[ \"$(cat %s/user)\" = 0 ]", world.folder) == 0,
		"it does not run as root");
}

#define ROOT_STUB                                                                     \
	"#!/bin/sh\nid -u > $HOME/user\n(setsid sleep 1001 &)\ntouch $HOME/running\n" \
	"sleep 1000\n"

Test(machine, s31_what_an_ordinary_user_cannot_end_is_named)
{
	char *runs;
	begin_as_user(ROOT_STUB);
	cr_assert(eq(int, world_nfctl(&world, "cancel", NULL), 0));
	world_expect_outcomes(&world, 1, 30000);
	cr_assert(eq(int, world_nfctl(&world, "runs", &runs), 0));
	snprintf(text, sizeof(text), "%s", runs);
	free(runs);
	bool is_named = strstr(text, " of root left (") != NULL;
	bool is_explained = strstr(text, "the service must delegate its cgroup") != NULL;
	cr_assert(is_named && is_explained, "%s", text);
}

Test(machine, s31_a_stop_of_the_older_service_ends_the_command_and_the_next_start_says_so)
{
	begin_as_user(ROOT_STUB);
	cr_assert(eq(int, nspawn_shell(&machine, NULL, "systemctl restart nixfleet-agent"), 0));
	world_expect_outcomes(&world, 1, 60000);
	world_outcome(&world, "status", text);
	cr_assert(eq(str, text, "error"));
	world_expect(&world, "comment", "in step switch");
	cr_assert(nspawn_until(&machine, 2000, "! grep -lx sleep /proc/[0-9]*/comm"),
		"something of it is left");
}

Test(machine, s31_under_the_older_unit_roots_commands_get_a_scope_of_their_own)
{
	begin();
	use_older_unit("");
	world_stub(&world, "nixos-rebuild",
		"#!/bin/sh\nunset LD_LIBRARY_PATH\ncat /proc/self/cgroup > $HOME/cgroup\n"
		"systemctl restart nixfleet-agent\nexit 9\n");
	nspawn_boot(&machine);
	start_agent();
	expect_isolation("a command gets a scope of its own");
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 30000);
	world_expect(&world, "comment", "nixos-rebuild exited 9");
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL, "grep -q 'nixfleet-.*[.]scope/nixfleet-' %s/cgroup",
			world.folder),
		0));
}

/* A unit of the user's own manager, whose command restarts it. */
static void restart_under_a_users_unit(const char *more)
{
	char unit[2048];
	begin();
	snprintf(unit, sizeof(unit),
		"[Service]\nExecStart=%s/supervisor/nixfleet-agent --config /dev/null\n%s"
		"Restart=always\nEnvironmentFile=%s/variables\nStandardError=append:%s/agent.log\n",
		getenv("NIXFLEET_BUILD"), more, world.folder, world.folder);
	world_file(&world, "unit", unit, 0644);
	nspawn_bind(&machine, "unit", "/etc/systemd/user/nixfleet-agent.service");
	world_set(&world, "NIXFLEET_MANAGER", "home-manager");
	world_stub(&world, "home-manager",
		"#!/bin/sh\nunset LD_LIBRARY_PATH\ncat /proc/self/cgroup > $HOME/cgroup\n"
		"systemctl --user restart nixfleet-agent\nexit 9\n");
	nspawn_boot(&machine);
	world_set(&world, "LD_LIBRARY_PATH", "%s/lib", world.folder);
	world_set(&world, "NIXFLEET_URL", "http://127.0.0.1:%d", world.port);
	world_set(&world, "NIXFLEET_ALLOW_INSECURE_HTTP", "1");
	world_set(&world, "NIXFLEET_TOKEN", "shared-token");
	write_variables("variables");
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL,
			"useradd -u %d -d %s nixtest && chown -R nixtest %s && systemctl "
			"start user@%d && setpriv --reuid %d --regid %d --clear-groups env "
			"XDG_RUNTIME_DIR=/run/user/%d systemctl --user start "
			"nixfleet-agent",
			USER, world.folder, world.folder, USER, USER, USER, USER),
		0));
	cr_assert(world_until(&world, 20000, world_is_registered, NULL));
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 30000);
	world_expect(&world, "comment", "home-manager exited 9");
}

static void expect_cgroup(const char *pattern)
{
	cr_assert(eq(int,
		nspawn_shell(&machine, NULL, "grep -q '%s' %s/cgroup", pattern, world.folder), 0));
}

/* home-manager's. */
Test(machine, s31_under_a_users_older_unit_commands_get_a_scope_of_their_own)
{
	restart_under_a_users_unit("");
	expect_isolation("a command gets a scope of its own");
	expect_cgroup("nixfleet-.*[.]scope/nixfleet-");
}

Test(machine, s31_a_users_unit_that_delegates_keeps_its_commands)
{
	restart_under_a_users_unit("Delegate=yes\nKillMode=process\n");
	expect_isolation("the service delegates its cgroup");
	expect_cgroup("nixfleet-agent[.]service/nixfleet-");
}

/* It delegates, and a stop would end what is in there. */
Test(machine, s31_a_users_unit_that_ends_its_cgroup_does_not_keep_them)
{
	restart_under_a_users_unit("Delegate=yes\n");
	expect_isolation("a command gets a scope of its own");
	expect_cgroup("nixfleet-.*[.]scope/nixfleet-");
}

/* ---- a reboot ---- */

static void start_again(void)
{
	nspawn_await_reboot(&machine);
	cr_assert(eq(int, nspawn_shell(&machine, NULL, "systemctl start nixfleet-agent"), 0));
}

/* In the middle of a command. */
static void go_down_and_start_again(const char *how)
{
	begin();
	use_our_unit("");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\ntouch $HOME/running\nsleep 1000\n");
	nspawn_boot(&machine);
	start_agent();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 10000, world_has_file, "running"));
	nspawn_shell(&machine, NULL, "%s", how);
	start_again();
}

Test(machine, s24_a_reboot_in_the_middle_of_a_command_interrupts_it)
{
	go_down_and_start_again("systemctl reboot");
	cr_assert(world_until(&world, 30000, world_runs_say, "interrupted"));
	cr_assert(world_until(&world, 30000, world_status_is, "owed=0"));
}

Test(machine, s24_a_machine_that_goes_down_hard_has_interrupted_its_command)
{
	go_down_and_start_again("systemctl reboot --force --force");
	cr_assert(world_until(&world, 30000, world_runs_say,
		"interrupted: the machine was started anew while it ran"));
}

Test(machine, s24_reboot_as_the_command_is_good)
{
	begin();
	use_our_unit("");
	nspawn_boot(&machine);
	/* Standalone: the HTTP protocol has no such command. */
	world_set(&world, "LD_LIBRARY_PATH", "%s/lib", world.folder);
	write_variables("variables");
	cr_assert(eq(int, nspawn_shell(&machine, NULL, "systemctl start nixfleet-agent"), 0));
	cr_assert(world_until(&world, 10000, world_status_is, "why=all is well"));
	cr_assert(eq(int, world_nfctl(&world, "run reboot", NULL), 0));
	start_again();
	cr_assert(world_until(&world, 30000, world_runs_say, "-reboot-"));
	cr_assert(world_runs_say(&world, "exited 0"));
}
