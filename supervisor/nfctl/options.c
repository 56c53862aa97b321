/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_SHOWN 20

static const struct command commands[] = {
	{"status", NULL, NULL, "what the agent does and how it is",
		"0 healthy, 1 degraded, 2 failed", status_command},
	{"runs", NULL, NULL, "the last commands and their outcomes", NULL, runs_command},
	{"logs", "[RUN]", NULL, "the output of a run; without a name, of the newest", NULL,
		logs_command},
	{"run", "COMMAND", NULL, "start a command on this host",
		"with --wait that of the command, 124 timed out, 125 no code", run_command},
	{"cancel", "[RUN]", NULL, "end a run politely; without a name, the one that goes on", NULL,
		cancel_command},
	{"why", NULL, NULL, "what it is waiting for right now", "0 nothing, 1 something",
		why_command},
	{"doctor", NULL, NULL, "look for what is wrong on this host, and say how to mend it",
		"0 all is well, 1 warnings, 2 failures", doctor_command},
	{"metrics", NULL, NULL, "print OpenMetrics text; an agent that is down is a value", NULL,
		metrics_command},
	{"diagnostics", "[FILE]", NULL,
		"write an archive for a bug report, without secrets, in 30 s at most", NULL,
		diagnostics_command},
	{"pause", NULL, NULL, "start no command until it is resumed or over; what runs goes on",
		NULL, pause_command},
	{"resume", NULL, NULL, "start commands again, those first that waited", NULL,
		resume_command},
	{"reload", NULL, NULL, "read the configuration again; a bad one is not used, and named",
		NULL, reload_command},
	{"kick", NULL, NULL, "try the network and the dashboard now, whatever is waited for", NULL,
		kick_command},
	{"completion", "SHELL", "bash zsh fish", "print a shell's completions for nfctl", NULL,
		completion_command},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_DURATION
};

#define AT(field) offsetof(struct options, field)

static const struct {
	struct option_row row;
	enum option_kind kind;
	size_t offset;
} table[] = {
	{{"--json", 0, NULL, "print JSON", "status why doctor runs logs run cancel"}, OPTION_FLAG,
		AT(json)},
	{{"--watch", 0, NULL, "show it again whenever it changes, until Ctrl-C", "status"},
		OPTION_FLAG, AT(watch)},
	{{"--follow", 'f', NULL, "go on until the run has ended", "logs"}, OPTION_FLAG, AT(follow)},
	{{"--wait", 'w', NULL, "show the output and exit with the command's code", "run"},
		OPTION_FLAG, AT(wait)},
	{{"--kill", 'k', NULL, "end it at once", "cancel"}, OPTION_FLAG, AT(kill)},
	{{"--for", 0, "TIME", "end the pause by itself after this: 90s, 2h30m or 1d, 366d at most",
		 "pause"},
		OPTION_DURATION, AT(pause_ms)},
	{{"--reason", 0, "TEXT", "what people are told, 200 bytes at most", "pause"}, OPTION_TEXT,
		AT(reason)},
	{{"--most", 'n', "N", "show so many, 1 to 200", "runs"}, OPTION_NUMBER, AT(most)},
	{{"--output", 'o', "FILE", "write to this file, whole or not at all", "metrics"},
		OPTION_TEXT, AT(output)},
	{{"--with-output", 0, NULL, "the output of commands, too", "diagnostics"}, OPTION_FLAG,
		AT(with_output)},
	{{"--config", 0, "FILE", "the agent's configuration file, where none answers",
		 "status why doctor diagnostics"},
		OPTION_TEXT, AT(config)},
	{{"--socket", 0, "FILE", "ask this control socket", NULL}, OPTION_TEXT, AT(socket)},
	{{"--help", 'h', NULL, "show this and exit", NULL}, OPTION_FLAG, AT(help)},
	{{"--version", 0, NULL, "show the version and exit", NULL}, OPTION_FLAG, AT(version)},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

const struct command *options_commands(size_t *count)
{
	*count = COMMAND_COUNT;
	return commands;
}

const struct option_row *options_row(size_t at)
{
	return at < TABLE_COUNT ? &table[at].row : NULL;
}

bool options_list_has(const char *list, const char *word)
{
	size_t size = strlen(word);
	while (list && *list) {
		size_t length = strcspn(list, " ");
		if (length == size && strncmp(list, word, size) == 0)
			return true;
		list += length + (list[length] == ' ');
	}
	return list == NULL;
}

static const struct command *wrong(const char *what, const char *which)
{
	fprintf(stderr, "nfctl: %s '%s': see nfctl --help\n", what, which);
	return NULL;
}

static size_t find_option(const char *word)
{
	size_t length = strcspn(word, "=");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct option_row *row = &table[i].row;
		if (strlen(row->name) == length && strncmp(row->name, word, length) == 0)
			return i;
		if (word[0] == '-' && row->letter && word[1] == row->letter && !word[2])
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

#define DURATION_MS_MAX (UINT64_C(366) * 86400000)

/* "90s", "2h30m", "1d"; a bare number is seconds. */
static bool set_duration(uint64_t *place, const char *value)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'\0', 1000}};
	*place = 0;
	while (*value) {
		char *end;
		size_t at = 0;
		if (*value < '0' || *value > '9')
			return false;
		unsigned long long number = strtoull(value, &end, 10);
		while (at < sizeof(units) / sizeof(units[0]) && units[at].unit != *end)
			at++;
		if (at == sizeof(units) / sizeof(units[0]) ||
			number > (DURATION_MS_MAX - *place) / units[at].ms)
			return false;
		*place += number * units[at].ms;
		value = end + (*end != '\0');
	}
	return *place > 0;
}

static bool set_value(size_t at, const char *value, void *place)
{
	switch (table[at].kind) {
	case OPTION_FLAG: return false;
	case OPTION_TEXT: memcpy(place, &value, sizeof(value)); return true;
	case OPTION_NUMBER:
		if (!set_number(place, value))
			wrong("a number from 1 to 200 is wanted, not", value);
		return *(long *)place >= 1 && *(long *)place <= 200;
	case OPTION_DURATION:
		if (set_duration(place, value))
			return true;
		wrong("a time such as 90s, 2h30m or 1d, 366d at most, is wanted, not", value);
		return false;
	}
	return false;
}

/* How many words of argv the option took, 0: it is wrong and was said to be. */
static int take_option(char **word, const char *next, struct options *options, uint32_t *given)
{
	size_t at = find_option(*word);
	if (at == TABLE_COUNT) {
		wrong("unknown option", *word);
		return 0;
	}
	char *place = (char *)options + table[at].offset;
	const char *equals = strchr(*word, '=');
	const char *value = equals ? equals + 1 : next;
	*given |= 1u << at;
	if (table[at].kind == OPTION_FLAG) {
		bool on = true;
		if (equals)
			wrong("no value belongs to", *word);
		memcpy(place, &on, sizeof(on));
		return equals ? 0 : 1;
	}
	if (!value) {
		wrong("a value is missing after", *word);
		return 0;
	}
	return !set_value(at, value, place) ? 0 : equals ? 1 : 2;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return wrong("unknown command", name);
}

/* What only the whole line shows. */
static const struct command *check_line(
	const struct command *command, const struct options *options, uint32_t given)
{
	if (!command)
		return wrong("a command is wanted, such as", "nfctl status");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if ((given & (1u << i)) && !options_list_has(table[i].row.commands, command->name))
			return wrong("this command has no option", table[i].row.name);
	}
	if (options->argument && !command->argument)
		return wrong("unexpected argument", options->argument);
	if (options->argument && !options_list_has(command->words, options->argument))
		return wrong("unknown argument", options->argument);
	if (!options->argument && command->argument && command->argument[0] != '[')
		return wrong("an argument is missing after", command->name);
	return command;
}

const struct command *options_parse(int argc, char **argv, struct options *options)
{
	const struct command *command = NULL;
	uint32_t given = 0;
	*options = (struct options){.most = RUNS_SHOWN};
	for (int i = 1; i < argc;) {
		if (argv[i][0] == '-' && argv[i][1]) {
			int taken = take_option(
				&argv[i], i + 1 < argc ? argv[i + 1] : NULL, options, &given);
			if (taken == 0)
				return NULL;
			i += taken;
			continue;
		}
		if (command && options->argument)
			return wrong("unexpected argument", argv[i]);
		if (command)
			options->argument = argv[i];
		else if (!(command = find_command(argv[i])))
			return NULL;
		i++;
	}
	return options->help || options->version ? command : check_line(command, options, given);
}

static void print_option(const struct option_row *row)
{
	char left[40], letter[8] = "";
	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	snprintf(left, sizeof(left), "%s%s%s%s", letter, row->name, row->argument ? " " : "",
		row->argument ? row->argument : "");
	printf("  %-18s %s", left, row->help);
}

static void print_command_help(const struct command *command)
{
	printf("usage: nfctl %s%s%s [OPTION]…\n\n%s.\n", command->name,
		command->argument ? " " : "", command->argument ? command->argument : "",
		command->help);
	if (command->words)
		printf("%s is one of: %s.\n", command->argument, command->words);
	puts("");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (!options_list_has(table[i].row.commands, command->name))
			continue;
		print_option(&table[i].row);
		puts("");
	}
	printf("\nexit codes: %s%s2 failed or refused · 3 the agent is not running · 64 usage\n",
		command->exits ? command->exits : "0 done", " · ");
}

void options_print_help(const struct command *command)
{
	if (command) {
		print_command_help(command);
		return;
	}
	puts("usage: nfctl COMMAND [ARGUMENT] [OPTION]…\n\nAsks the NixFleet agent of this "
	     "host.\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-11s %-9s %s\n", commands[i].name,
			commands[i].argument ? commands[i].argument : "", commands[i].help);
	puts("");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const char *owners = table[i].row.commands;
		print_option(&table[i].row);
		printf("%s%s%s\n", owners ? " (" : "", owners ? owners : "", owners ? ")" : "");
	}
	puts("\nnfctl COMMAND --help says more, its exit codes too.");
}
