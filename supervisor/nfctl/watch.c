/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nfctl status --watch. On a terminal the screen is drawn anew each second, when something changed
 * and when its size did; anywhere else each change is a line. Durations alone are no change. An
 * agent that is restarted meanwhile is found again.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "proto/base/time.h"
#include "supervisor/nfctl/capture.h"
#include "supervisor/nfctl/client.h"
#include "supervisor/nfctl/screen.h"
#include "supervisor/nfctl/status.h"
#include "supervisor/platform.h"

#define LOOK_MS          250
#define DRAW_MS          1000
#define ANSWER_MS        3000
#define SUMMARY_BYTES    (4 * REASON_BYTES_MAX)
#define SCREEN_BYTES_MAX (256 * 1024)

static void add_status(const struct control_status *status, char summary[SUMMARY_BYTES])
{
	snprintf(summary, SUMMARY_BYTES,
		"%.*s, gate %.*s, worker %.*s, link %s, %" PRIu64 " queued, %" PRIu64 " owed",
		TEXT_ARGS(status->why), TEXT_ARGS(status->gate), TEXT_ARGS(status->worker),
		link_name(status->link), status->queued, status->owed);
}

static void add_run(const struct control_run *run, char summary[SUMMARY_BYTES])
{
	char how[OUTCOME_TEXT_BYTES] = "";
	size_t at = strlen(summary);
	if (run->outcome != OUTCOME_NONE)
		outcome_text(run->outcome, run->code, how);
	snprintf(summary + at, SUMMARY_BYTES - at, ", %.*s %.*s%s%s", TEXT_ARGS(run->run),
		TEXT_ARGS(run->state), *how ? ": " : "", how);
}

/* What would be worth a line. False: nobody answers. */
static bool look(const struct options *options, char summary[SUMMARY_BYTES])
{
	struct client client;
	struct control control = {.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = 1}};
	char tried[PATH_BYTES_MAX + 1];
	bool is_there = false;
	snprintf(summary, SUMMARY_BYTES, "the agent is not running");
	if (client_open(&client, options->socket, tried) < 0)
		return false;
	if (client_ask(&client, &control) == 0) {
		while (client_next(&client, &control) == 0 && control.type != CONTROL_DONE) {
			is_there = true;
			if (control.type == CONTROL_STATUS)
				add_status(&control.status, summary);
			else if (control.type == CONTROL_RUN)
				add_run(&control.run, summary);
		}
	}
	client_close(&client);
	return is_there;
}

/* What `nfctl status` prints, asked for as a program: so it can be cut to the screen, and one that
 * does not end holds nothing up. */
static void draw(const struct options *options, const struct screen *screen, const char *own,
	const char *summary)
{
	const char *argv[] = {
		own, "status", options->socket ? "--socket" : NULL, options->socket, NULL};
	struct bytes said, drawn;
	bytes_init(&said, SCREEN_BYTES_MAX);
	bytes_init(&drawn, 2 * SCREEN_BYTES_MAX);
	capture(argv, mono_after(mono_now(), ANSWER_MS), &said);
	if (said.size == 0) /* this program was replaced meanwhile */
		bytes_append_text(&said, summary);
	screen_fit(screen, (struct text){(const char *)said.data, said.size}, &drawn);
	fwrite(drawn.data, 1, drawn.size, stdout);
	bytes_finish(&said);
	bytes_finish(&drawn);
}

static void print(const struct options *options, bool is_there, const char *summary)
{
	char when[WALL_TEXT_BYTES];
	wall_text(wall_now(), when);
	if (!options->json)
		printf("%s %s\n", when, summary);
	else if (is_there)
		status_show(options, JSON_COMPACT);
	else
		puts("null");
}

int watch_status(const struct options *options)
{
	char summary[SUMMARY_BYTES], last[SUMMARY_BYTES] = "";
	char own[PATH_BYTES_MAX + 1];
	struct screen screen = {0};
	struct mono drawn = {0};
	bool is_screen = isatty(STDOUT_FILENO) && !options->json &&
			 platform_own_path(own, sizeof(own)) == 0;
	if (is_screen) /* for the program that is asked, whose output is no terminal */
		setenv("CLICOLOR_FORCE", "1", 0);
	for (;;) {
		bool is_there = look(options, summary);
		bool is_new = strcmp(summary, last) != 0;
		if (is_screen) {
			is_new = screen_measure(&screen) || is_new ||
				 mono_ms_since(mono_now(), drawn) >= DRAW_MS;
			if (is_new)
				draw(options, &screen, own, summary);
			drawn = is_new ? mono_now() : drawn;
		} else if (is_new) {
			print(options, is_there, summary);
		}
		memcpy(last, summary, sizeof(last));
		if (fflush(stdout) != 0)
			return NFCTL_FAILED;
		poll(NULL, 0, LOOK_MS);
	}
}
