/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is asked for and answered with one sentence: nfctl reload, kick, pause, resume. */
#include <stdio.h>

#include "supervisor/nfctl/ask.h"

static int order(const struct options *options, const struct control *asked)
{
	struct client client;
	struct control control;
	int code = ask_open(&client, options, asked);
	if (code != NFCTL_GOOD)
		return code;
	while (ask_next(&client, &control, &code))
		;
	if (code == NFCTL_GOOD && control.type == CONTROL_DONE)
		printf("%.*s\n", TEXT_ARGS(control.done.note));
	client_close(&client);
	return code;
}

int reload_command(const struct options *options)
{
	return order(
		options, &(struct control){.type = CONTROL_ASK_ORDER, .ask_order = {ORDER_RELOAD}});
}

int resume_command(const struct options *options)
{
	return order(
		options, &(struct control){.type = CONTROL_ASK_ORDER, .ask_order = {ORDER_RESUME}});
}

int pause_command(const struct options *options)
{
	return order(options,
		&(struct control){.type = CONTROL_ASK_PAUSE,
			.ask_pause = {.for_ms = options->pause_ms ? options->pause_ms : UINT64_MAX,
				.reason = options->reason ? text_of(options->reason) : TEXT_NONE}});
}

int kick_command(const struct options *options)
{
	return order(
		options, &(struct control){.type = CONTROL_ASK_ORDER, .ask_order = {ORDER_KICK}});
}
