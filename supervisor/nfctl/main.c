/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <signal.h>
#include <stdio.h>

#include "proto/base/log.h"
#include "supervisor/nfctl/options.h"

int main(int argc, char **argv)
{
	struct options options;
	log_open("nfctl");
	signal(SIGPIPE, SIG_DFL);
	const struct command *command = options_parse(argc, argv, &options);
	if (options.help) {
		options_print_help(command);
		return NFCTL_GOOD;
	}
	if (options.version) {
		puts("nfctl " NIXFLEET_VERSION);
		return NFCTL_GOOD;
	}
	return command ? command->run(&options) : NFCTL_USAGE;
}
