/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/options.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/config.h"

/* The one list of options: parsing, help and the tests come from it. */
static const struct {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
	enum options_action action;
} table[] = {
	{"--config", "FILE", "read KEY=VALUE lines from FILE (default " CONFIG_DEFAULT_FILE ")",
		OPTIONS_RUN},
	{"--check", NULL, "say what the configuration is and whether it works, then exit",
		OPTIONS_CHECK},
	{"--help", NULL, "show this and exit", OPTIONS_HELP},
	{"--version", NULL, "show the version and exit", OPTIONS_VERSION},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static struct options wrong(const char *what, const char *argument)
{
	fprintf(stderr, "nixfleet-agent: %s '%s': see nixfleet-agent --help\n", what, argument);
	return (struct options){.action = OPTIONS_WRONG};
}

struct options options_parse(int argc, char **argv)
{
	struct options options = {.action = OPTIONS_RUN};
	for (int i = 1; i < argc; i++) {
		size_t at = 0;
		size_t length = strcspn(argv[i], "=");
		while (at < TABLE_COUNT && (strlen(table[at].name) != length ||
						   strncmp(table[at].name, argv[i], length) != 0))
			at++;
		if (at == TABLE_COUNT)
			return wrong(argv[i][0] == '-' ? "unknown option" : "unexpected argument",
				argv[i]);
		if (!table[at].argument) {
			if (argv[i][length] == '=')
				return wrong("no value belongs to", argv[i]);
			options.action = table[at].action;
			if (options.action == OPTIONS_HELP || options.action == OPTIONS_VERSION)
				return options;
			continue;
		}
		if (argv[i][length] == '=')
			options.config_path = argv[i] + length + 1;
		else if (i + 1 < argc)
			options.config_path = argv[++i];
		else
			return wrong("a value is missing after", argv[i]);
	}
	return options;
}

void options_print_help(void)
{
	puts("usage: nixfleet-agent [OPTION]…\n\n"
	     "Connects this host to its NixFleet dashboard: registers it, sends heartbeats and "
	     "runs\n"
	     "the commands that the dashboard hands out. Runs in the foreground; a service "
	     "manager\n"
	     "starts it again. Ask a running one with nfctl.\n");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		char left[40];
		snprintf(left, sizeof(left), "%s%s%s", table[i].name, table[i].argument ? " " : "",
			table[i].argument ? table[i].argument : "");
		printf("  %-16s %s\n", left, table[i].help);
	}
	puts("\nThe configuration is read from the environment (NIXFLEET_URL, NIXFLEET_TOKEN_FILE, "
	     "…)\n"
	     "and ranks before the file's.\n\n"
	     "exit codes: 0 clean stop · 64 usage · 78 configuration · 100 another instance runs "
	     "·\n"
	     "101 restart wanted · 111 the system refused something at start");
}
