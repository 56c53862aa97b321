/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl doctor: by a child of the agent, or, where no agent answers, by itself. */
#include "supervisor/doctor.h"

#include <stdio.h>

#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/json.h"
#include "supervisor/nfctl/paint.h"

struct findings {
	const struct options *options;
	json_t *list;
	enum finding worst;
};

static void take(void *data, const struct control *control)
{
	static const enum paint paints[] = {PAINT_GOOD, PAINT_WARN, PAINT_BAD};
	struct findings *findings = data;
	const struct control_finding *finding = &control->finding;
	if (finding->verdict > findings->worst)
		findings->worst = (enum finding)finding->verdict;
	if (findings->options->json) {
		json_t *object = json_of_control(control);
		json_object_set_new(object, "verdict", json_string(finding_name(finding->verdict)));
		json_array_append_new(findings->list, object);
		return;
	}
	paint_text(paints[finding->verdict], finding_name(finding->verdict));
	printf("%*s%-12.*s",
		finding->verdict == FINDING_OK       ? 7
		: finding->verdict == FINDING_FAILED ? 3
						     : 2,
		"", TEXT_ARGS(finding->what));
	paint_foreign(finding->words);
	puts("");
	fflush(stdout);
}

static void look_alone(struct findings *findings)
{
	char error[CONFIG_ERROR_BYTES];
	struct config config;
	struct config_from from = {.path = findings->options->config, .lookup = config_environment};
	struct doctor doctor = {.config = &config, .say = take, .data = findings};
	doctor_say(&doctor, FINDING_FAILED, "agent",
		"the agent is not running: start it, for example with systemctl start "
		"nixfleet-agent");
	if (config_load(&config, &from, error) < 0) {
		doctor_say(&doctor, FINDING_FAILED, "settings", "%s", error);
		return;
	}
	doctor_say(&doctor, FINDING_OK, "settings", "%s",
		*config.file ? config.file : "the environment of this nfctl alone");
	doctor_run(&doctor);
	config_finish(&config);
}

int doctor_command(const struct options *options)
{
	struct findings findings = {.options = options, .list = json_array()};
	struct client client;
	struct control control = {.type = CONTROL_ASK_DOCTOR, .ask_doctor = {.most = UINT32_MAX}};
	char tried[PATH_BYTES_MAX + 1];
	int code = NFCTL_GOOD;
	if (client_open(&client, options->socket, tried) < 0) {
		look_alone(&findings);
	} else {
		client_close(&client);
		code = ask_open(&client, options, &control);
		while (code == NFCTL_GOOD && ask_next(&client, &control, &code)) {
			if (control.type == CONTROL_FINDING)
				take(&findings, &control);
		}
		client_close(&client);
	}
	if (options->json && code == NFCTL_GOOD)
		json_show(findings.list, JSON_INDENT(2));
	else
		json_decref(findings.list);
	return code == NFCTL_GOOD ? (int)findings.worst : code;
}
