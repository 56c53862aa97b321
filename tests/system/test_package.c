/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The Debian package on a machine with a real systemd: what an administrator does with it, as
 * etc/doc/install.md says it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/nspawn.h"

#define CONFIG "/etc/nixfleet-agent/agent.conf"
#define OPS    "/etc/nixfleet-agent/ops.d"

static struct world world;
static struct nspawn machine;

static void finish(void)
{
	nspawn_close(&machine);
	if (world.folder[0])
		world_close(&world);
}

TestSuite(package, .fini = finish, .timeout = 400);

/* A shell command in the machine that must exit with this code. */
static void inside(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void inside(int code, const char *format, ...)
{
	char words[2048], *output;
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	int status = nspawn_shell(&machine, &output, "%s", words);
	cr_assert(status == code, "%s: exit %d and not %d:\n%s", words, status, code, output);
	free(output);
}

static void await(const char *words)
{
	cr_assert(nspawn_until(&machine, 30000, "%s", words), "never: %s", words);
}

static void build_package(void)
{
	char words[2048];
	if (system("command -v dpkg-deb dpkg-shlibdeps >/dev/null") != 0)
		cr_skip_test("skipped: dpkg-dev is not installed");
	snprintf(words, sizeof(words),
		"%s/etc/debian/build --build %s/debian --output %s/package >%s/build.log 2>&1 && "
		"mv %s/package/*.deb %s/agent.deb",
		getenv("NIXFLEET_SOURCE"), getenv("NIXFLEET_BUILD"), world.folder, world.folder,
		world.folder, world.folder);
	cr_assert(eq(int, system(words), 0));
}

/* A machine with the package on it. Its libraries are this machine's: there is no archive to ask.
 */
static void install(void)
{
	nspawn_open(&machine, &world);
	build_package();
	nspawn_boot(&machine);
	inside(0, "echo %s/lib >/etc/ld.so.conf.d/test.conf && ldconfig", world.folder);
	inside(0, "dpkg -i --force-depends %s/agent.deb", world.folder);
}

/* A command of the host's own that goes on until `go` is there. */
static void add_slow_command(void)
{
	inside(0, "chmod 0777 %s", world.folder);
	inside(0,
		"printf '#!/bin/sh\\ntouch %s/begun\\nwhile [ ! -e %s/go ]; do sleep 0.1; "
		"done\\nexit 7\\n' >" OPS "/slow && chmod 0755 " OPS "/slow",
		world.folder, world.folder);
}

static void await_begin(void)
{
	char words[WORLD_TEXT_BYTES + 16];
	snprintf(words, sizeof(words), "[ -e %s/begun ]", world.folder);
	await(words);
}

static void begin_slow_command(void)
{
	add_slow_command();
	inside(0, "systemctl restart nixfleet-agent && nfctl run slow");
	await_begin();
}

Test(package, it_is_started_by_its_installation_under_its_own_account)
{
	install();
	inside(0, "systemctl is-active nixfleet-agent && systemctl is-enabled nixfleet-agent");
	inside(0, "nfctl status");
	inside(0, "[ \"$(stat -c %%U /proc/$(systemctl show -P MainPID nixfleet-agent))\" = "
		  "nixfleet-agent ]");
	inside(0, "useradd -G nixfleet bob && useradd eve");
	inside(0, "printf '#!/bin/sh\\nexit 7\\n' >" OPS "/seven && chmod 0755 " OPS "/seven && "
		  "systemctl restart nixfleet-agent");
	inside(7, "setpriv --reuid bob --regid bob --init-groups nfctl run seven --wait");
	inside(0, "setpriv --reuid eve --regid eve --clear-groups nfctl status");
	inside(2, "setpriv --reuid eve --regid eve --clear-groups nfctl run seven --wait");
}

/* The same words from systemctl, the journal, --check and nfctl. */
Test(package, a_reload_with_a_wrong_setting_fails_and_says_why)
{
	install();
	inside(0, "echo NIXFLEET_LOCATION=work >>" CONFIG " && systemctl reload nixfleet-agent");
	inside(0, "echo NIXFLEET_BRANCH=-x >>" CONFIG);
	inside(1, "systemctl reload nixfleet-agent");
	inside(0, "nixfleet-agent --check 2>&1 | grep -o 'NIXFLEET_BRANCH is .*' >/run/words && "
		  "systemctl status nixfleet-agent | grep -qFf /run/words");
	inside(0, "nfctl status | grep -qFf /run/words");
	inside(1, "nfctl status");
	inside(0, "sed -i s/^NIXFLEET_BRANCH=.*// " CONFIG " && systemctl reload nixfleet-agent");
	inside(0, "nfctl status");
}

Test(package, an_upgrade_restarts_the_agent_and_leaves_a_command_alone)
{
	install();
	begin_slow_command();
	inside(0, "systemctl show -P MainPID nixfleet-agent >/run/before");
	inside(0, "dpkg -i --force-depends %s/agent.deb", world.folder);
	inside(1, "systemctl show -P MainPID nixfleet-agent | cmp -s - /run/before");
	inside(0, "[ \"$(grep -lx nixfleet-agent /proc/[0-9]*/comm | wc -l)\" = 1 ]");
	inside(0, "nfctl runs | grep running && touch %s/go", world.folder);
	await("nfctl runs | grep 'exited 7'");
}

Test(package, a_removal_ends_what_runs_and_a_purge_leaves_nothing)
{
	install();
	begin_slow_command();
	inside(0, "dpkg -r nixfleet-agent");
	inside(1, "grep -lE '^(nixfleet-|slow)' /proc/[0-9]*/comm");
	inside(0, "dpkg -P nixfleet-agent");
	inside(2, "getent passwd nixfleet-agent");
	inside(2, "getent group nixfleet");
	inside(1, "find /etc /usr /var /run -name '*nixfleet*' | grep -v "
		  "'^/var/lib/dpkg/\\|^/var/log/' "
		  "| grep .");
	inside(4, "systemctl status nixfleet-agent");
}

/* For an account without root: the unit of its own manager, which comes with the package. */
Test(package, a_users_own_unit_is_started_reloaded_and_restarted_under_a_command)
{
	static const char as_alice[] = "runuser -u alice -- env HOME=/home/alice "
				       "XDG_RUNTIME_DIR=/run/user/$(id -u alice)";
	install();
	add_slow_command();
	inside(0, "systemctl disable --now nixfleet-agent");
	inside(0, "useradd -m alice && loginctl enable-linger alice");
	await("[ -S /run/user/$(id -u alice)/bus ]");
	inside(0,
		"%s install -D -m 0600 /usr/share/doc/nixfleet-agent/agent.conf "
		"/home/alice/.config/nixfleet-agent/agent.conf",
		as_alice);
	inside(0, "%s systemctl --user enable --now nixfleet-agent", as_alice);
	inside(0, "%s nfctl status", as_alice);
	inside(0, "%s systemctl --user reload nixfleet-agent", as_alice);
	inside(0, "%s nfctl run slow", as_alice);
	await_begin();
	inside(0, "%s systemctl --user restart nixfleet-agent", as_alice);
	inside(0, "%s nfctl runs | grep running && touch %s/go", as_alice, world.folder);
	inside(0, "%s nfctl logs --follow", as_alice);
	inside(0, "%s nfctl runs | grep 'exited 7'", as_alice);
	inside(0, "%s systemctl --user disable --now nixfleet-agent", as_alice);
	inside(3, "%s nfctl status", as_alice);
}
