/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl metrics and nfctl diagnostics: what a monitor and a bug report are given. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/system/hung_disk.h"
#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(diagnostics, .fini = finish, .timeout = 90);

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

Test(diagnostics, metrics_are_openmetrics_and_written_whole)
{
	char words[WORLD_TEXT_BYTES], *said;
	world_begin(&world, NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nexit 3\n");
	world_expect_nfctl(&world, "run switch --wait", 3, "exited 3");
	world_expect_nfctl(&world, "run switch --wait", 3, "exited 3");
	world_expect_nfctl(&world, "pause --for 1h", 0, "paused");
	snprintf(words, sizeof(words), "metrics --output %s/agent.prom", world.folder);
	cr_assert(eq(int, world_nfctl(&world, words, NULL), 0));
	said = world_content(&world, "agent.prom");
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
	world_expect_nfctl(&world, "metrics --output /nowhere/agent.prom", 2,
		"/nowhere/agent.prom: No such file");
}

static bool has_token(struct world *of, void *unused)
{
	(void)of;
	(void)unused;
	return strlen(world_content(&world, "state/token")) > 6;
}

/* What would give the host away is looked for in the bytes of the archive itself. */
static void expect_no_secret(const char *archive, const char *secret)
{
	char words[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "! grep -aqF '%s' $FOLDER/%s", secret, archive);
	cr_assert(gt(sz, strlen(secret), 5));
	cr_assert(eq(int, world_script(&world, words, NULL), 0), "%s is in %s", secret, archive);
}

Test(diagnostics, diagnostics_hold_what_helps_and_no_secret)
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
	snprintf(own, sizeof(own), "%.*s", (int)strcspn(world_content(&world, "state/token"), "\n"),
		world_content(&world, "state/token"));
	world_expect_nfctl(&world, "run switch --wait", 0, "Bearer shared-token");
	world_expect_nfctl(&world, "logs", 0, own);
	snprintf(words, sizeof(words), "diagnostics %s/one.tar --with-output", world.folder);
	uint64_t start = world_ms();
	world_expect_nfctl(&world, words, 0, "one.tar");
	cr_assert(lt(u64, world_ms() - start, 30000));
	world_expect_nfctl(&world, words, 2, "File exists");
	expect_no_secret("one.tar", "shared-token");
	expect_no_secret("one.tar", "hunter");
	expect_no_secret("one.tar", "2222@git");
	expect_no_secret("one.tar", own);
	cr_assert(
		eq(int,
			world_script(&world,
				"cd $FOLDER && mkdir x && tar -xf one.tar -C x && cd x/* && ls && "
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
	cr_assert(eq(int, world_script(&world, words, &said), 0), "%s", said);
	cr_assert(strstr(said, "-switch-") != NULL && strstr(said, "/flight.saved") != NULL, "%s",
		said);
	free(said);
	expect_no_secret("two.tar", "shared-token");
	expect_no_secret("two.tar", own);
}

Test(diagnostics, diagnostics_show_no_password_of_a_repositorys_url)
{
	char words[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_REPO_DIR", NULL);
	/* So long that a line in a record is cut off within. */
	world_set(&world, "NIXFLEET_REPO_URL", "https://me:hunter2222%0400d@127.0.0.1:1/x", 0);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
	world_expect_nfctl(&world, "run pull --wait", 128, "fatal: unable to access");
	cr_assert(eq(int,
		world_script(&world, "grep -aqF '127.0.0.1:1/x' $FOLDER/state/runs/*.run", NULL),
		0));
	cr_assert(eq(
		int, world_script(&world, "grep -aqF hunter2222 $FOLDER/state/runs/*", NULL), 1));
	snprintf(words, sizeof(words), "diagnostics %s/one.tar --with-output", world.folder);
	world_expect_nfctl(&world, words, 0, "one.tar");
	expect_no_secret("one.tar", "hunter2222");
	expect_no_secret("one.tar", "000000000000");
}

Test(diagnostics, diagnostics_leave_a_disk_that_hangs)
{
	char words[WORLD_TEXT_BYTES], hung[WORLD_TEXT_BYTES], *said;
	world_open(&world, "");
	snprintf(hung, sizeof(hung), "%s/hung", world.folder);
	cr_assert(eq(int, mkdir(hung, 0700), 0));
	world_own_mounts();
	pid_t server = hung_disk_mount(hung);
	uint64_t start = world_ms();
	snprintf(words, sizeof(words),
		"NIXFLEET_STATE_DIR=$FOLDER/hung/state NIXFLEET_TOKEN=shared-token timeout -s KILL "
		"60 $NFCTL diagnostics $FOLDER/one.tar --socket $FOLDER/none | cat && "
		"tar -xOf $FOLDER/one.tar --wildcards '*/state.txt' '*/host.txt'");
	int code = world_script(&world, words, &said);
	uint64_t took = world_ms() - start;
	hung_disk_end(server, hung);
	cr_assert(eq(int, code, 0), "%s", said);
	cr_assert(strstr(said, "its disk hangs") != NULL && strstr(said, "Linux") != NULL, "%s",
		said);
	free(said);
	cr_assert(lt(u64, took, 30000));
}
