/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command line of nfctl: one table of commands, one of options. Help and completions come from
 * them too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	const char *socket;   /* NULL: looked for */
	const char *argument; /* of the command */
	const char *reason;   /* NULL: none */
	const char *output;   /* NULL: standard output */
	const char *config;   /* NULL: the usual file */
	bool json, follow, wait, kill, watch, with_output, help, version;
	long most;         /* of runs to show */
	uint64_t pause_ms; /* 0: until resumed */
};

struct command {
	const char *name;
	const char *argument; /* NULL: takes none; in brackets: may be left out */
	const char *words;    /* what the argument can be, separated by spaces; NULL: anything */
	const char *help;
	const char *exits; /* its exit codes besides those of every command */
	int (*run)(const struct options *options);
};

struct option_row {
	const char *name;     /* with its two dashes */
	char letter;          /* 0: none */
	const char *argument; /* NULL: takes none */
	const char *help;
	const char *commands; /* to which it belongs, separated by spaces; NULL: to all */
};

/* NULL when one line was written to standard error; options->help and version are to be looked at
 * first, and need no command. */
const struct command *options_parse(int argc, char **argv, struct options *options);
/* Of one command, or of all of them (NULL). */
void options_print_help(const struct command *command);
/* Whether word is one of the words in list; a list of NULL has every word. */
bool options_list_has(const char *list, const char *word);

const struct command *options_commands(size_t *count);
/* The row at this place, or NULL after the last. */
const struct option_row *options_row(size_t at);

int status_command(const struct options *options);
int runs_command(const struct options *options);
int logs_command(const struct options *options);
int run_command(const struct options *options);
int cancel_command(const struct options *options);
int reload_command(const struct options *options);
int kick_command(const struct options *options);
int doctor_command(const struct options *options);
int metrics_command(const struct options *options);
int diagnostics_command(const struct options *options);
int why_command(const struct options *options);
int pause_command(const struct options *options);
int resume_command(const struct options *options);
int completion_command(const struct options *options);
