/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/runs.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/log.h"
#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/json.h"
#include "supervisor/nfctl/paint.h"

static void show_times(const struct control_run *run)
{
	char elapsed[PAINT_TIME_BYTES], deadline[PAINT_TIME_BYTES];
	paint_duration(run->elapsed_ms, elapsed);
	paint_duration(run->deadline_ms, deadline);
	printf(" for %s of %s at most", elapsed, deadline);
}

void runs_show(const struct control_run *run)
{
	char how[OUTCOME_TEXT_BYTES];
	bool is_live = text_is(run->state, "running") || text_is(run->state, "starting");
	bool is_good = run->outcome == OUTCOME_EXITED && run->code == 0;
	printf("%-36.*s %-13.*s", TEXT_ARGS(run->run), TEXT_ARGS(run->state));
	if (is_live) {
		show_times(run);
	} else if (run->outcome != OUTCOME_NONE) {
		outcome_text(run->outcome, run->code, how);
		paint_text(is_good ? PAINT_GOOD : PAINT_BAD, how);
	}
	if (run->reason.size > 0) {
		printf(": ");
		paint_foreign(run->reason);
	} else if (run->summary.size > 0) {
		printf(": ");
		paint_foreign(run->summary);
	}
	/* A command that ended by itself may have left something, of which its reason says nothing.
	 */
	if (run->ended_count > 0 &&
		(run->outcome == OUTCOME_EXITED || run->outcome == OUTCOME_SIGNALED))
		printf("; %" PRIu64 " left-over process%s ended by %.*s in %" PRIu64 " ms",
			run->ended_count, run->ended_count == 1 ? "" : "es", TEXT_ARGS(run->method),
			run->ended_ms);
	puts("");
}

int runs_command(const struct options *options)
{
	struct client client;
	struct control control;
	int code = ask_open(&client, options,
		&(struct control){.type = CONTROL_ASK_RUNS,
			.ask_runs = {.runs_max = (uint64_t)options->most}});
	if (code != NFCTL_GOOD)
		return code;
	json_t *list = json_array();
	while (ask_next(&client, &control, &code)) {
		if (control.type != CONTROL_RUN)
			continue;
		if (options->json)
			json_array_append_new(list, json_of_control(&control));
		else
			runs_show(&control.run);
	}
	client_close(&client);
	if (options->json && code == NFCTL_GOOD)
		json_show(list, JSON_INDENT(2));
	else
		json_decref(list);
	return code;
}

int cancel_command(const struct options *options)
{
	struct client client;
	struct control control;
	struct text run = options->argument ? text_of(options->argument) : TEXT_NONE;
	int code = ask_open(&client, options,
		&(struct control){.type = CONTROL_ASK_CANCEL,
			.ask_cancel = {.run = run, .kill = options->kill}});
	if (code != NFCTL_GOOD)
		return code;
	if (ask_next(&client, &control, &code) && control.type == CONTROL_BEGUN) {
		if (options->json)
			json_show(json_of_control(&control), JSON_INDENT(2));
		else
			printf("%.*s is being ended\n", TEXT_ARGS(control.begun.run));
	}
	client_close(&client);
	return code;
}
