/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_SHOWN 20

static const struct command commands[] = {
	{"status", NULL,
		"what the agent does and how it is: exits 0 healthy, 1 degraded, 2 failed, "
		"3 not running",
		status_command},
	{"runs", NULL, "the last commands and their outcomes", runs_command},
	{"logs", "[RUN]", "the output of a run; without a name, of the newest", logs_command},
	{"run", "COMMAND", "start a command on this host", run_command},
	{"cancel", "[RUN]", "end a run politely; without a name, the one that goes on",
		cancel_command},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_NUMBER
};

static const struct {
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	size_t offset;
	const char *argument;
	const char *help;
} table[] = {
	{"--json", 0, OPTION_FLAG, offsetof(struct options, json), NULL, "print JSON"},
	{"--follow", 'f', OPTION_FLAG, offsetof(struct options, follow), NULL,
		"logs: go on until the run has ended"},
	{"--wait", 'w', OPTION_FLAG, offsetof(struct options, wait), NULL,
		"run: show the output and exit with the command's code (124 timed out, 125 no "
		"code)"},
	{"--kill", 'k', OPTION_FLAG, offsetof(struct options, kill), NULL,
		"cancel: without the time to end by itself"},
	{"--most", 'n', OPTION_NUMBER, offsetof(struct options, most), "N",
		"runs: how many to show (1 to 200, default 20)"},
	{"--socket", 0, OPTION_TEXT, offsetof(struct options, socket), "FILE",
		"ask this control socket"},
	{"--help", 'h', OPTION_FLAG, offsetof(struct options, help), NULL, "show this and exit"},
	{"--version", 0, OPTION_FLAG, offsetof(struct options, version), NULL,
		"show the version and exit"},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static const struct command *wrong(const char *what, const char *which)
{
	fprintf(stderr, "nfctl: %s '%s': see nfctl --help\n", what, which);
	return NULL;
}

static size_t find_option(const char *word)
{
	size_t length = strcspn(word, "=");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (strlen(table[i].name) == length && strncmp(table[i].name, word, length) == 0)
			return i;
		if (word[0] == '-' && table[i].letter && word[1] == table[i].letter && !word[2])
			return i;
	}
	return TABLE_COUNT;
}

static bool set_number(long *place, const char *value)
{
	char *end;
	*place = strtol(value, &end, 10);
	return *end == '\0' && end != value && *place >= 1 && *place <= 200;
}

/* How many words of argv the option took, 0: it is wrong and was said to be. */
static int take_option(char **word, const char *next, struct options *options)
{
	size_t at = find_option(*word);
	if (at == TABLE_COUNT) {
		wrong("unknown option", *word);
		return 0;
	}
	char *place = (char *)options + table[at].offset;
	const char *value = strchr(*word, '=') ? strchr(*word, '=') + 1 : next;
	int taken = strchr(*word, '=') ? 1 : 2;
	if (table[at].kind == OPTION_FLAG) {
		bool on = true;
		memcpy(place, &on, sizeof(on));
		return 1;
	}
	if (!value) {
		wrong("a value is missing after", *word);
		return 0;
	}
	if (table[at].kind == OPTION_TEXT)
		memcpy(place, &value, sizeof(value));
	else if (!set_number((long *)(void *)place, value)) {
		wrong("a number from 1 to 200 is wanted, not", value);
		return 0;
	}
	return taken;
}

const struct command *options_parse(int argc, char **argv, struct options *options)
{
	const struct command *command = NULL;
	*options = (struct options){.most = RUNS_SHOWN};
	for (int i = 1; i < argc;) {
		if (argv[i][0] == '-' && argv[i][1]) {
			int taken = take_option(
				&argv[i], i + 1 < argc ? argv[i + 1] : NULL, options);
			if (taken == 0)
				return NULL;
			i += taken;
			continue;
		}
		if (command && options->argument)
			return wrong("unexpected argument", argv[i]);
		if (command)
			options->argument = argv[i];
		for (size_t at = 0; at < COMMAND_COUNT && !options->argument && !command; at++) {
			if (strcmp(commands[at].name, argv[i]) == 0)
				command = &commands[at];
		}
		if (!command)
			return wrong("unknown command", argv[i]);
		i++;
	}
	if (options->help || options->version)
		return command;
	if (!command)
		return wrong("a command is wanted, such as", "nfctl status");
	if (options->argument && !command->argument)
		return wrong("unexpected argument", options->argument);
	if (!options->argument && command->argument && command->argument[0] != '[')
		return wrong("an argument is missing after", command->name);
	return command;
}

void options_print_help(void)
{
	puts("usage: nfctl COMMAND [ARGUMENT] [OPTION]…\n\nAsks the NixFleet agent of this "
	     "host.\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-7s %-9s %s\n", commands[i].name,
			commands[i].argument ? commands[i].argument : "", commands[i].help);
	puts("");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		char left[32], letter[8] = "";
		if (table[i].letter)
			snprintf(letter, sizeof(letter), "-%c, ", table[i].letter);
		snprintf(left, sizeof(left), "%s%s%s%s", letter, table[i].name,
			table[i].argument ? " " : "", table[i].argument ? table[i].argument : "");
		printf("  %-17s %s\n", left, table[i].help);
	}
}
