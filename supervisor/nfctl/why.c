/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nfctl why: what is it waiting for right now? The agent says what it knows from memory; what
 * stands in a run's files and in the kernel about its processes is looked up here.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"
#include "proto/record.h"
#include "supervisor/nfctl/absent.h"
#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/json.h"
#include "supervisor/nfctl/paint.h"
#include "supervisor/nfctl/sleepers.h"

#define CAUSES_MAX 64

struct cause {
	char what[SHORT_TEXT_BYTES_MAX + 1];
	char words[REASON_BYTES_MAX + 1];
	char run[RUN_NAME_BYTES_MAX + 1];
	uint64_t since_ms, left_ms;
	pid_t pid;
};

/* What only the run's files say. */
struct step {
	bool is_known;
	char stage[SHORT_TEXT_BYTES_MAX + 1];
	uint64_t silent_ms;
	char unit[SHORT_TEXT_BYTES_MAX + 1]; /* outside the run's tree; empty: none */
};

static void take(struct cause *cause, const struct control_wait_for *said)
{
	text_copy(said->what, cause->what, sizeof(cause->what));
	text_copy(said->words, cause->words, sizeof(cause->words));
	text_copy(said->run, cause->run, sizeof(cause->run));
	cause->since_ms = said->since_ms;
	cause->left_ms = said->left_ms;
	cause->pid = (pid_t)said->pid;
}

static int ask_all(const struct options *options, struct cause *causes, uint32_t *count)
{
	struct client client;
	struct control control;
	int code = ask_open(&client, options,
		&(struct control){.type = CONTROL_ASK_WHY, .ask_why = {.most = CAUSES_MAX}});
	*count = 0;
	if (code != NFCTL_GOOD)
		return code;
	while (ask_next(&client, &control, &code)) {
		if (control.type == CONTROL_WAIT_FOR && *count < CAUSES_MAX)
			take(&causes[(*count)++], &control.wait_for);
	}
	client_close(&client);
	return code;
}

/* The runner's last line says where an activation goes on, until that ends. */
static void find_unit(int output, off_t size, struct step *step)
{
	static const char mark[] = "activation continues in ";
	char tail[512];
	off_t from = size > (off_t)sizeof(tail) ? size - (off_t)sizeof(tail) : 0;
	ssize_t got = fd_read_at(output, tail, sizeof(tail), from);
	char *at = got > 0 ? memmem(tail, (size_t)got, mark, sizeof(mark) - 1) : NULL;
	if (!at)
		return;
	at += sizeof(mark) - 1;
	size_t left = (size_t)(tail + got - at), length = 0;
	while (length < left && at[length] > ' ' && length < SHORT_TEXT_BYTES_MAX)
		length++;
	memcpy(step->unit, at, length);
	step->unit[length] = '\0';
}

static void look_at_files(struct client *client, struct step *step)
{
	struct record record;
	struct stat info;
	if (client->files[0] < 0 || record_read(client->files[0], &record) < 0)
		return;
	step->is_known = true;
	memcpy(step->stage, record.stage, sizeof(step->stage));
	if (client->files[1] < 0 || fstat(client->files[1], &info) < 0)
		return;
	int64_t silent = wall_ms(wall_now()) / 1000 - (int64_t)info.st_mtime;
	step->silent_ms = silent > 0 ? (uint64_t)silent * 1000 : 0;
	find_unit(client->files[1], info.st_size, step);
}

/* Not everybody may: then there is only less to say. */
static void find_step(const struct options *options, const char *run, struct step *step)
{
	char tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control = {.type = CONTROL_ASK_FILES, .ask_files = {.run = text_of(run)}};
	*step = (struct step){0};
	if (client_open(&client, options->socket, tried) < 0)
		return;
	if (client_ask(&client, &control) == 0) {
		while (client_next(&client, &control) == 0 && control.type != CONTROL_DONE &&
			control.type != CONTROL_REFUSED)
			;
		look_at_files(&client, step);
	}
	client_close(&client);
}

static void show_step(const struct step *step)
{
	char silent[PAINT_TIME_BYTES];
	if (!step->is_known)
		return;
	paint_duration(step->silent_ms, silent);
	if (step->unit[0])
		printf("  the activation in %s, outside the run's own processes\n", step->unit);
	else
		printf("  step %s, no output for %s\n", *step->stage ? step->stage : "none yet",
			silent);
}

static void show(const struct options *options, const struct cause *cause)
{
	char since[PAINT_TIME_BYTES], left[PAINT_TIME_BYTES];
	struct sleeper sleepers[SLEEPERS_MAX];
	struct step step;
	paint_label(cause->what);
	paint_foreign(text_of(cause->words));
	paint_duration(cause->since_ms, since);
	paint_duration(cause->left_ms, left);
	if (cause->since_ms != UINT64_MAX)
		printf(" (for %s)", since);
	if (cause->left_ms != UINT64_MAX)
		printf(" (%s left)", left);
	puts("");
	if (!cause->run[0])
		return;
	find_step(options, cause->run, &step);
	show_step(&step);
	uint32_t count = sleepers_find(cause->pid, sleepers);
	for (uint32_t i = 0; i < count; i++)
		printf("  process %d %s, state %c%s%s\n", (int)sleepers[i].pid, sleepers[i].name,
			sleepers[i].state, *sleepers[i].function ? ", sleeps in " : "",
			sleepers[i].function);
}

static json_t *json_of_cause(const struct options *options, const struct cause *cause)
{
	struct sleeper sleepers[SLEEPERS_MAX];
	struct step step;
	json_t *processes = json_array();
	json_t *object = json_pack("{s:s,s:s}", "what", cause->what, "words", cause->words);
	if (cause->since_ms != UINT64_MAX)
		json_object_set_new(object, "since_ms", json_integer((json_int_t)cause->since_ms));
	if (cause->left_ms != UINT64_MAX)
		json_object_set_new(object, "left_ms", json_integer((json_int_t)cause->left_ms));
	if (!cause->run[0]) {
		json_decref(processes);
		return object;
	}
	find_step(options, cause->run, &step);
	uint32_t count = sleepers_find(cause->pid, sleepers);
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			processes, json_pack("{s:i,s:s,s:s#,s:s}", "pid", (int)sleepers[i].pid,
					   "name", sleepers[i].name, "state", &sleepers[i].state, 1,
					   "function", sleepers[i].function));
	json_object_set_new(object, "run", json_string(cause->run));
	if (step.is_known) {
		json_object_set_new(object, "stage", json_string(step.stage));
		json_object_set_new(object, "silent_ms", json_integer((json_int_t)step.silent_ms));
		json_object_set_new(object, "unit", json_string(step.unit));
	}
	json_object_set_new(object, "processes", processes);
	return object;
}

int why_command(const struct options *options)
{
	struct cause causes[CAUSES_MAX];
	uint32_t count;
	int code = ask_all(options, causes, &count);
	if (code == NFCTL_NOT_RUNNING)
		absent_explain(options);
	if (code != NFCTL_GOOD)
		return code;
	json_t *list = json_array();
	for (uint32_t i = 0; i < count; i++) {
		if (options->json)
			json_array_append_new(list, json_of_cause(options, &causes[i]));
		else
			show(options, &causes[i]);
	}
	if (count == 0 && !options->json)
		puts("nothing is waited for");
	if (options->json)
		json_show(list, JSON_INDENT(2));
	else
		json_decref(list);
	return count > 0 ? NFCTL_DEGRADED : NFCTL_GOOD;
}
