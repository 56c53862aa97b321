/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"

int ask_open(struct client *client, const struct options *options, const struct control *control)
{
	char tried[PATH_BYTES_MAX + 1] = "";
	if (client_open(client, options->socket, tried) < 0) {
		if (errno == EACCES)
			log_error("%s: not allowed", tried);
		else
			log_error("the agent is not running: nobody answers at %s (%s)", tried,
				strerror(errno));
		return NFCTL_NOT_RUNNING;
	}
	if (client_ask(client, control) < 0) {
		log_error("the agent did not take the question: %s", strerror(errno));
		client_close(client);
		return NFCTL_FAILED;
	}
	return NFCTL_GOOD;
}

bool ask_next(struct client *client, struct control *control, int *code)
{
	*code = NFCTL_FAILED;
	if (client_next(client, control) < 0) {
		log_error("the agent did not answer: %s",
			errno == EPROTO ? "it is of another version: restart it" : strerror(errno));
		return false;
	}
	if (control->type == CONTROL_REFUSED) {
		log_error("%.*s", TEXT_ARGS(control->refused.reason));
		return false;
	}
	*code = NFCTL_GOOD;
	return control->type != CONTROL_DONE;
}
