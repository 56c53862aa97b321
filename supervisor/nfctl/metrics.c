/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nfctl metrics: OpenMetrics text. Gauges and counters alone, because node exporter's textfile
 * collector knows no state sets and no infos. An agent that does not run is a value, not an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/nfctl/ask.h"

#define METRICS_BYTES_MAX (256 * 1024)
#define SERIES_MAX        256

struct series {
	char command[COMMAND_BYTES_MAX + 1];
	uint64_t outcome;
	uint64_t count;
	bool is_newest; /* of its command */
	bool is_good;
	uint64_t took_ms;
	int64_t wall_ms;
};

struct metrics {
	struct bytes text;
	struct series series[SERIES_MAX];
	uint32_t count;
};

static void family(struct metrics *metrics, const char *name, const char *type, const char *help)
{
	bytes_printf(&metrics->text, "# TYPE nixfleet_agent_%s %s\n# HELP nixfleet_agent_%s %s\n",
		name, type, name, help);
}

static void gauge(struct metrics *metrics, const char *name, const char *help, double value)
{
	family(metrics, name, "gauge", help);
	bytes_printf(&metrics->text, "nixfleet_agent_%s %.15g\n", name, value);
}

static void label(struct metrics *metrics, const char *name, struct text value)
{
	bytes_printf(&metrics->text, "%s=\"", name);
	for (uint32_t i = 0; i < value.size; i++) {
		unsigned char byte = (unsigned char)value.data[i];
		if (byte == '"' || byte == '\\')
			bytes_append(&metrics->text, "\\", 1);
		bytes_append(&metrics->text, byte < 0x20 || byte >= 0x7f ? "?" : &value.data[i], 1);
	}
	bytes_append_text(&metrics->text, "\"");
}

static void add_link(struct metrics *metrics, uint64_t link)
{
	family(metrics, "link", "gauge", "1 for the state of the way to the dashboard.");
	for (uint64_t at = LINK_NONE; at <= LINK_REFUSED; at++) {
		bytes_append_text(&metrics->text, "nixfleet_agent_link{");
		label(metrics, "state", text_of(link_name(at)));
		bytes_printf(&metrics->text, "} %d\n", at == link);
	}
}

static void add_build(struct metrics *metrics, const struct control_status *status)
{
	family(metrics, "build", "gauge", "Always 1; the version and the host's name.");
	bytes_append_text(&metrics->text, "nixfleet_agent_build{");
	label(metrics, "version", status->version);
	bytes_append_text(&metrics->text, ",");
	label(metrics, "host", status->host);
	bytes_append_text(&metrics->text, "} 1\n");
}

static void add_status(struct metrics *metrics, const struct control_status *status)
{
	add_build(metrics, status);
	gauge(metrics, "health", "0 healthy, 1 degraded, 2 failed.", (double)status->health);
	gauge(metrics, "uptime_seconds", "Since the agent started.", (double)status->up_ms / 1000);
	gauge(metrics, "gate_open", "Whether the network may be used.",
		!text_is(status->gate, "waiting"));
	gauge(metrics, "worker_up", "Whether the worker answers.", text_is(status->worker, "up"));
	family(metrics, "worker_starts", "counter", "Starts of the worker.");
	bytes_printf(&metrics->text, "nixfleet_agent_worker_starts_total %" PRIu64 "\n",
		status->worker_starts);
	add_link(metrics, status->link);
	if (status->contact_ms != UINT64_MAX)
		gauge(metrics, "last_contact_seconds", "Since the dashboard last answered.",
			(double)status->contact_ms / 1000);
	gauge(metrics, "queued", "Commands that wait.", (double)status->queued);
	gauge(metrics, "owed", "Outcomes that the dashboard does not have yet.",
		(double)status->owed);
	gauge(metrics, "poison", "Outcomes over which workers died.", (double)status->poison);
	gauge(metrics, "paused", "Whether no command starts.", status->pause.size > 0);
	if (status->pause_left_ms != UINT64_MAX)
		gauge(metrics, "pause_left_seconds", "Until the pause ends by itself.",
			(double)status->pause_left_ms / 1000);
	gauge(metrics, "store_trouble",
		"Whether the disk refused something and was not heard "
		"to work since.",
		status->store.size > 0);
	gauge(metrics, "token_kept", "Whether the host's own token is on the disk.",
		status->token_kept);
}

/* Runs come newest first. */
static void count_run(struct metrics *metrics, const struct control_run *run)
{
	bool is_newest = true;
	struct series *found = NULL;
	if (run->outcome == OUTCOME_NONE)
		return;
	for (uint32_t i = 0; i < metrics->count; i++) {
		struct series *series = &metrics->series[i];
		if (!text_is(run->command, series->command))
			continue;
		is_newest = false;
		if (series->outcome == run->outcome)
			found = series;
	}
	if (!found && metrics->count < SERIES_MAX) {
		found = &metrics->series[metrics->count++];
		*found = (struct series){.outcome = run->outcome,
			.is_newest = is_newest,
			.is_good = run->outcome == OUTCOME_EXITED && run->code == 0,
			.took_ms = run->elapsed_ms,
			.wall_ms = run->wall_ms};
		text_copy(run->command, found->command, sizeof(found->command));
	}
	if (found)
		found->count++;
}

static void add_newest(struct metrics *metrics, const char *name, const char *help,
	double (*value)(const struct series *series))
{
	family(metrics, name, "gauge", help);
	for (uint32_t i = 0; i < metrics->count; i++) {
		if (!metrics->series[i].is_newest)
			continue;
		bytes_printf(&metrics->text, "nixfleet_agent_%s{", name);
		label(metrics, "command", text_of(metrics->series[i].command));
		bytes_printf(&metrics->text, "} %.15g\n", value(&metrics->series[i]));
	}
}

static double took(const struct series *series)
{
	return (double)series->took_ms / 1000;
}

static double accepted(const struct series *series)
{
	return (double)series->wall_ms / 1000;
}

static double went_well(const struct series *series)
{
	return series->is_good;
}

static void add_runs(struct metrics *metrics)
{
	family(metrics, "runs", "gauge", "Records of commands, by how they ended.");
	for (uint32_t i = 0; i < metrics->count; i++) {
		bytes_append_text(&metrics->text, "nixfleet_agent_runs{");
		label(metrics, "command", text_of(metrics->series[i].command));
		bytes_append_text(&metrics->text, ",");
		label(metrics, "outcome", text_of(outcome_name(metrics->series[i].outcome)));
		bytes_printf(&metrics->text, "} %" PRIu64 "\n", metrics->series[i].count);
	}
	add_newest(metrics, "last_run_seconds", "How long the newest run took.", took);
	add_newest(metrics, "last_run_accepted_timestamp_seconds",
		"When the newest run was accepted.", accepted);
	add_newest(metrics, "last_run_success", "Whether the newest run exited with 0.", went_well);
}

/* False: no answer, or not for this user. */
static bool ask(struct metrics *metrics, const struct options *options, struct control question)
{
	char tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control;
	bool is_done = false;
	if (client_open(&client, options->socket, tried) < 0)
		return false;
	if (client_ask(&client, &question) == 0) {
		while (!is_done && client_next(&client, &control) == 0 &&
			control.type != CONTROL_REFUSED) {
			is_done = control.type == CONTROL_DONE;
			if (control.type == CONTROL_STATUS) {
				gauge(metrics, "up", "Whether the agent answers.", 1);
				add_status(metrics, &control.status);
			} else if (control.type == CONTROL_RUN) {
				count_run(metrics, &control.run);
			}
		}
	}
	client_close(&client);
	return is_done;
}

static int write_out(const struct options *options, const struct bytes *text)
{
	char path[PATH_BYTES_MAX + 1], above[PATH_BYTES_MAX + 1];
	if (!options->output)
		return fwrite(text->data, 1, text->size, stdout) == text->size ? NFCTL_GOOD
									       : NFCTL_FAILED;
	snprintf(path, sizeof(path), "%s", options->output);
	snprintf(above, sizeof(above), "%s", options->output);
	own_fd folder = open(dirname(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0 &&
		fd_replace_file(folder, basename(path), text->data, text->size, 0644) == 0)
		return NFCTL_GOOD;
	log_error("%s: %s", options->output, strerror(errno));
	return NFCTL_FAILED;
}

int metrics_command(const struct options *options)
{
	struct metrics metrics = {.count = 0};
	bytes_init(&metrics.text, METRICS_BYTES_MAX);
	bool is_up = ask(&metrics, options,
		(struct control){.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = 0}});
	if (!is_up) {
		bytes_clear(&metrics.text);
		gauge(&metrics, "up", "Whether the agent answers.", 0);
	} else if (ask(&metrics, options,
			   (struct control){.type = CONTROL_ASK_RUNS,
				   .ask_runs = {.runs_max = RUNS_KEPT_MAX}})) {
		add_runs(&metrics);
	}
	bytes_append_text(&metrics.text, "# EOF\n");
	int code = write_out(options, &metrics.text);
	bytes_finish(&metrics.text);
	return code;
}
