/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The command line of nixfleet-agent. */
#pragma once

enum options_action {
	OPTIONS_RUN,
	OPTIONS_CHECK,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_WRONG
};

struct options {
	enum options_action action;
	const char *config_path; /* NULL: the default file, if it exists */
};

/* With OPTIONS_WRONG one line was written to standard error. */
struct options options_parse(int argc, char **argv);
void options_print_help(void);
