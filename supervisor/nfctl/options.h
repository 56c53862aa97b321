/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command line of nfctl: one table of commands, one of options. */
#pragma once

#include <stdbool.h>

/* Exit codes of nfctl besides those of a command that was waited for. */
enum nfctl_exit {
	NFCTL_GOOD = 0,
	NFCTL_DEGRADED = 1,
	NFCTL_FAILED = 2,
	NFCTL_NOT_RUNNING = 3,
	NFCTL_USAGE = 64,
	NFCTL_LOST = 125, /* run --wait: the outcome is no exit code */
	NFCTL_TIMED_OUT = 124,
};

struct options {
	const char *socket; /* NULL: looked for */
	const char *argument;
	bool json, follow, wait, kill, help, version;
	long most; /* of runs to show */
};

struct command {
	const char *name;
	const char *argument; /* NULL: takes none; in brackets: may be left out */
	const char *help;
	int (*run)(const struct options *options);
};

/* NULL when one line was written to standard error; options->help and version are to be looked at
 * first, and need no command. */
const struct command *options_parse(int argc, char **argv, struct options *options);
void options_print_help(void);

int status_command(const struct options *options);
int runs_command(const struct options *options);
int logs_command(const struct options *options);
int run_command(const struct options *options);
int cancel_command(const struct options *options);
