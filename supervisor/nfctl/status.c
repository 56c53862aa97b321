/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl status: one screen that a tired person understands. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/time.h"
#include "supervisor/nfctl/absent.h"
#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/json.h"
#include "supervisor/nfctl/paint.h"
#include "supervisor/nfctl/runs.h"
#include "supervisor/nfctl/status.h"

#define STATUS_RUNS 8

static const struct {
	const char *word;
	enum paint paint;
} healths[] = {
	{"healthy", PAINT_GOOD},
	{"degraded", PAINT_WARN},
	{"failed", PAINT_BAD},
};

static void show_text(const char *label, struct text text)
{
	paint_label(label);
	paint_foreign(text);
	puts("");
}

static void show_link(const struct control_status *status)
{
	char ago[PAINT_TIME_BYTES];
	if (status->url.size == 0) {
		show_text("dashboard", text_of("none: standalone"));
		return;
	}
	show_text("dashboard", status->url);
	paint_label("link");
	paint_text(status->link == LINK_UP ? PAINT_GOOD : PAINT_WARN, link_name(status->link));
	if (status->contact_ms == UINT64_MAX)
		printf(", no contact yet");
	else {
		paint_duration(status->contact_ms, ago);
		printf(", last contact %s ago", ago);
	}
	if (status->link_detail.size > 0) {
		printf(": ");
		paint_foreign(status->link_detail);
	}
	if (status->retry_ms != UINT64_MAX) {
		paint_duration(status->retry_ms, ago);
		printf("; next try in %s", ago);
	}
	puts("");
}

static void show_gate(const struct control_status *status)
{
	char since[PAINT_TIME_BYTES];
	if (status->url.size == 0)
		return;
	paint_duration(status->gate_ms, since);
	paint_label("gate");
	paint_foreign(status->gate);
	printf(" for %s", since);
	if (!text_is(status->gate, "open") && status->gate_reason.size > 0) {
		printf(": ");
		paint_foreign(status->gate_reason);
	}
	puts("");
}

static void show_status(const struct control_status *status)
{
	char time[PAINT_TIME_BYTES];
	paint_label("agent");
	paint_text(healths[status->health].paint, healths[status->health].word);
	printf(": ");
	paint_foreign(status->why);
	puts("");
	paint_duration(status->up_ms, time);
	paint_label("instance");
	printf("%.*s, version %.*s, pid %" PRIu64 ", up %s\n", TEXT_ARGS(status->host),
		TEXT_ARGS(status->version), status->pid, time);
	show_gate(status);
	if (status->url.size > 0) {
		paint_duration(status->worker_ms, time);
		paint_label("worker");
		printf("%.*s for %s, pid %" PRIu64 ", started %" PRIu64 " times\n",
			TEXT_ARGS(status->worker), time, status->worker_pid, status->worker_starts);
	}
	show_link(status);
	paint_label("commands");
	printf("%" PRIu64 " queued, %" PRIu64 " owed to the dashboard\n", status->queued,
		status->owed);
	if (status->pause.size > 0)
		show_text("pause", status->pause);
	if (status->store.size > 0)
		show_text("disk", status->store);
	if (status->poison > 0) {
		paint_label("poison");
		printf("%" PRIu64 " told last and without its output: workers died over it\n",
			status->poison);
	}
	if (status->leave.size > 0)
		show_text("action", status->leave);
	if (status->isolation.size > 0)
		show_text("isolation", status->isolation);
}

static void show_frame(const struct control *control, bool *has_runs)
{
	char left[PAINT_TIME_BYTES];
	if (control->type == CONTROL_STATUS) {
		show_status(&control->status);
	} else if (control->type == CONTROL_WAIT) {
		paint_duration(control->wait.left_ms, left);
		paint_label("waits");
		printf("%.*s in %s\n", TEXT_ARGS(control->wait.name), left);
	} else if (control->type == CONTROL_RUN) {
		if (!*has_runs)
			puts("");
		*has_runs = true;
		runs_show(&control->run);
	}
}

static void add_frame(json_t *root, const struct control *control)
{
	json_t *object = json_of_control(control);
	if (control->type == CONTROL_STATUS) {
		json_object_update(root, object);
		json_object_set_new(
			root, "link_name", json_string(link_name(control->status.link)));
		json_decref(object);
	} else {
		json_array_append_new(
			json_object_get(root, control->type == CONTROL_RUN ? "runs" : "waits"),
			object);
	}
}

int status_show(const struct options *options, size_t json_flags)
{
	struct client client;
	struct control control;
	uint64_t health = NFCTL_FAILED;
	bool has_runs = false;
	int code = ask_open(&client, options,
		&(struct control){
			.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = STATUS_RUNS}});
	if (code == NFCTL_NOT_RUNNING)
		absent_explain(options);
	if (code != NFCTL_GOOD)
		return code;
	json_t *root = json_pack("{s:[],s:[]}", "waits", "runs");
	while (ask_next(&client, &control, &code)) {
		if (control.type == CONTROL_STATUS)
			health = control.status.health;
		if (options->json)
			add_frame(root, &control);
		else
			show_frame(&control, &has_runs);
	}
	client_close(&client);
	if (options->json && code == NFCTL_GOOD)
		json_show(root, json_flags);
	else
		json_decref(root);
	return code == NFCTL_GOOD ? (int)health : code;
}

int status_command(const struct options *options)
{
	return options->watch ? watch_status(options) : status_show(options, JSON_INDENT(2));
}
