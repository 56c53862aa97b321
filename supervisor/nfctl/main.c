/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "supervisor/nfctl/options.h"

/* The code of a command that was waited for is the command's. */
static int finish(const struct options *options, int code)
{
	bool is_flushed = fflush(stdout) == 0;
	if (is_flushed && !ferror(stdout))
		return code;
	/* Of a piece before the last one nobody knows any more why. */
	log_error("standard output: %s", is_flushed ? "not all could be written" : strerror(errno));
	return code == NFCTL_GOOD && !options->wait ? NFCTL_FAILED : code;
}

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
	return command ? finish(&options, command->run(&options)) : NFCTL_USAGE;
}
