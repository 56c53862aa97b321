/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl logs and nfctl run --wait: a run's output as it comes, then its outcome. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/time.h"
#include "proto/output_reader.h"
#include "proto/record.h"
#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/json.h"
#include "supervisor/nfctl/paint.h"

/* A look each tenth of the time that the run has taken, within these bounds. */
#define LOOK_SHARE    10
#define LOOK_FIRST_MS 2
/* How long the end of a run is waited for in the agent once it is in the record. */
#define AGENT_HEARS_MS 3000
/* How long an agent that is away is waited for once the run has ended: for its output. */
#define AGENT_BACK_MS 15000

struct follow {
	int record; /* owned */
	int output; /* owned, -1: none yet */
	struct output_reader reader;
};

/* The two files of a run by the supervisor's hand. An exit code; name may be empty for the newest.
 */
static int open_files(const struct options *options, const char *name, struct follow *follow)
{
	struct client client;
	struct control control;
	int code = ask_open(&client, options,
		&(struct control){.type = CONTROL_ASK_FILES, .ask_files = {.run = text_of(name)}});
	if (code != NFCTL_GOOD)
		return code;
	while (ask_next(&client, &control, &code))
		;
	fd_drop(&follow->record);
	fd_drop(&follow->output);
	follow->record = steal_fd(&client.files[0]);
	follow->output = steal_fd(&client.files[1]);
	client_close(&client);
	if (code == NFCTL_GOOD && follow->record < 0) {
		log_error("the agent sent no descriptor");
		return NFCTL_FAILED;
	}
	follow->reader.fd = follow->output;
	return code;
}

/* The output, once there is any. A command may restart its agent as it begins, so that nobody is
 * there to be asked: said by false, not by an error. */
static bool find_output(const struct options *options, const char *name, struct follow *follow)
{
	char tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control = {.type = CONTROL_ASK_FILES, .ask_files = {.run = text_of(name)}};
	bool is_answered = false;
	if (client_open(&client, options->socket, tried) < 0)
		return false;
	if (client_ask(&client, &control) == 0) {
		while (!is_answered && client_next(&client, &control) == 0)
			is_answered = control.type == CONTROL_DONE ||
				      control.type == CONTROL_REFUSED;
	}
	follow->output = steal_fd(&client.files[1]);
	follow->reader.fd = follow->output;
	client_close(&client);
	return is_answered;
}

static void show_output(struct follow *follow)
{
	struct output output;
	while (follow->output >= 0 && output_reader_next(&follow->reader, &output) == OUTPUT_READ) {
		if (output.type == OUTPUT_CHUNK)
			fwrite(output.chunk.bytes.data, 1, output.chunk.bytes.size, stdout);
		else
			printf("\n[%" PRIu64 " bytes are missing here]\n", output.skipped.bytes);
	}
	fflush(stdout);
}

static void show_outcome(const struct record *record)
{
	char how[OUTCOME_TEXT_BYTES], took[PAINT_TIME_BYTES];
	outcome_text(record->outcome, record->code, how);
	paint_duration(record->took_ms, took);
	fprintf(stderr, "nfctl: %s: %s after %s%s%s%s%s\n", record->command, how, took,
		record->summary[0] ? ", " : "", record->summary, record->reason[0] ? ": " : "",
		record->reason);
}

static int exit_code_of(const struct record *record)
{
	switch (record->outcome) {
	case OUTCOME_EXITED: return (int)record->code;
	case OUTCOME_SIGNALED: return 128 + (int)record->code;
	case OUTCOME_TIMED_OUT: return NFCTL_TIMED_OUT;
	case OUTCOME_NONE:
	case OUTCOME_CANCELLED:
	case OUTCOME_REFUSED:
	case OUTCOME_INTERRUPTED:
	case OUTCOME_LOST: break;
	}
	return NFCTL_LOST;
}

/* A command that ends at once should not be waited for longer than it took; one that runs for an
 * hour is not looked at all the time. */
static void pause_between_looks(struct mono start)
{
	uint64_t ms = mono_ms_since(mono_now(), start) / LOOK_SHARE;
	poll(NULL, 0,
		ms < LOOK_FIRST_MS    ? LOOK_FIRST_MS
		: ms > RECORD_LOOK_MS ? RECORD_LOOK_MS
				      : (int)ms);
}

/* Until the record has a result. The descriptors stay good when the agent is restarted meanwhile.
 */
static int follow_run(const struct options *options, const char *name, struct follow *follow)
{
	struct record record;
	struct mono start = mono_now(), until = MONO_NEVER;
	for (;;) {
		bool is_answered = true;
		if (record_read(follow->record, &record) < 0) {
			log_error("the record cannot be read: %s", strerror(errno));
			return NFCTL_FAILED;
		}
		if (follow->output < 0 && record.state >= RECORD_RUNNING)
			is_answered = find_output(options, name, follow);
		show_output(follow);
		if (record.state == RECORD_FINISHED && until.ns == MONO_NEVER.ns)
			until = mono_after(mono_now(), AGENT_BACK_MS);
		if (record.state == RECORD_FINISHED &&
			(is_answered || mono_reached(mono_now(), until)))
			break;
		pause_between_looks(start);
	}
	if (follow->output < 0 && mono_reached(mono_now(), until))
		log_error("its output cannot be shown: the agent does not answer");
	show_outcome(&record);
	return exit_code_of(&record);
}

static void finish(struct follow *follow)
{
	fd_drop(&follow->record);
	fd_drop(&follow->output);
}

static int show_json(struct follow *follow)
{
	struct output output;
	json_t *list = json_array();
	while (follow->output >= 0 && output_reader_next(&follow->reader, &output) == OUTPUT_READ) {
		if (output.type != OUTPUT_CHUNK)
			continue;
		struct control text = {.type = CONTROL_DONE, .done = {.note = output.chunk.bytes}};
		json_t *piece = json_of_control(&text);
		json_array_append_new(
			list, json_pack("{s:I,s:s,s:O}", "ms", (json_int_t)output.chunk.ms,
				      "stream", stream_name(output.chunk.stream), "text",
				      json_object_get(piece, "note")));
		json_decref(piece);
	}
	json_show(list, JSON_INDENT(2));
	return NFCTL_GOOD;
}

int logs_command(const struct options *options)
{
	struct follow follow = {.record = -1, .output = -1};
	const char *name = options->argument ? options->argument : "";
	int code = open_files(options, name, &follow);
	if (code == NFCTL_GOOD && options->json)
		code = show_json(&follow);
	else if (code == NFCTL_GOOD && options->follow) {
		follow_run(options, name, &follow);
	} else if (code == NFCTL_GOOD) {
		show_output(&follow);
	}
	finish(&follow);
	return code;
}

/* Whether the agent still takes the run for one that goes on. */
static bool is_busy_with(const struct options *options, const char *name)
{
	static const char *const busy[] = {"starting", "running", "settling"};
	char tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control = {
		.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = RUNS_KNOWN_MAX}};
	bool is = false;
	if (client_open(&client, options->socket, tried) < 0)
		return false;
	if (client_ask(&client, &control) == 0) {
		while (client_next(&client, &control) == 0 && control.type != CONTROL_DONE) {
			for (size_t i = 0; control.type == CONTROL_RUN && i < 3; i++)
				is = is || (text_is(control.run.run, name) &&
						   text_is(control.run.state, busy[i]));
		}
	}
	client_close(&client);
	return is;
}

/* The result stands in the record a moment before the agent has heard of it; a script that asks for
 * the next command at once must not be refused for that. */
static void await_agent(const struct options *options, const char *name)
{
	struct mono until = mono_after(mono_now(), AGENT_HEARS_MS);
	while (is_busy_with(options, name) && !mono_reached(mono_now(), until))
		poll(NULL, 0, LOOK_FIRST_MS);
}

int run_command(const struct options *options)
{
	struct client client;
	struct control control;
	char name[RUN_NAME_BYTES_MAX + 1] = "";
	int code = ask_open(&client, options,
		&(struct control){.type = CONTROL_ASK_RUN,
			.ask_run = {.command = text_of(options->argument)}});
	if (code != NFCTL_GOOD)
		return code;
	if (ask_next(&client, &control, &code) && control.type == CONTROL_BEGUN) {
		text_copy(control.begun.run, name, sizeof(name));
		if (options->json)
			json_show(json_of_control(&control), JSON_INDENT(2));
		else if (!options->wait)
			printf("%s %s\n", name, control.begun.queued ? "is queued" : "is started");
	}
	client_close(&client);
	if (code != NFCTL_GOOD || !options->wait)
		return code;
	struct follow follow = {.record = -1, .output = -1};
	code = open_files(options, name, &follow);
	if (code == NFCTL_GOOD)
		code = follow_run(options, name, &follow);
	finish(&follow);
	await_agent(options, name);
	return code;
}
