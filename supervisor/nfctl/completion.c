/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nfctl completion: what a shell offers, from the tables that also parse the command line. */
#include <stdio.h>
#include <string.h>

#include "supervisor/nfctl/options.h"

static void print_options(const char *command, const char *separator)
{
	const struct option_row *row;
	for (size_t i = 0; (row = options_row(i)) != NULL; i++) {
		if (options_list_has(row->commands, command))
			printf("%s%s", row->name, separator);
	}
}

static void print_bash(const struct command *commands, size_t count)
{
	puts("# bash completion for nfctl\n"
	     "_nfctl() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} command='' i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n"
	     "\tdone\n"
	     "\tCOMPREPLY=()\n"
	     "\tcase $command in");
	for (size_t i = 0; i < count; i++) {
		printf("\t%s) COMPREPLY=($(compgen -W '%s ", commands[i].name,
			commands[i].words ? commands[i].words : "");
		print_options(commands[i].name, " ");
		puts("' -- \"$word\")) ;;");
	}
	printf("\t'') COMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < count; i++)
		printf("%s ", commands[i].name);
	puts("--help --version --socket' -- \"$word\")) ;;\n"
	     "\tesac\n"
	     "}\n"
	     "complete -o default -F _nfctl nfctl");
}

/* Quotes and brackets mean something to zsh; the help texts may hold them. */
static void print_escaped(const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", stdout);
		else if (strchr(special, *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_zsh(const struct command *commands, size_t count)
{
	const struct option_row *row;
	puts("#compdef nfctl\n"
	     "_nfctl() {\n"
	     "\tlocal -a commands\n"
	     "\tcommands=(");
	for (size_t i = 0; i < count; i++) {
		printf("\t\t'%s:", commands[i].name);
		print_escaped(commands[i].help, ":");
		puts("'");
	}
	puts("\t)\n"
	     "\tif ((CURRENT == 2)); then\n"
	     "\t\t_describe command commands\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tcase ${words[2]} in");
	for (size_t i = 0; i < count; i++) {
		printf("\t%s)\n\t\t_arguments", commands[i].name);
		for (size_t at = 0; (row = options_row(at)) != NULL; at++) {
			if (!options_list_has(row->commands, commands[i].name))
				continue;
			printf(" \\\n\t\t\t'%s[", row->name);
			print_escaped(row->help, "[]:");
			if (row->argument)
				printf("]:%s:_files'", row->argument);
			else
				printf("]'");
		}
		if (commands[i].words)
			printf(" \\\n\t\t\t'*:%s:(%s)'", commands[i].argument, commands[i].words);
		puts("\n\t\t;;");
	}
	puts("\tesac\n"
	     "}\n"
	     "if [[ ${funcstack[1]} == _nfctl ]]; then _nfctl \"$@\"; else compdef _nfctl nfctl; "
	     "fi");
}

static void print_fish(const struct command *commands, size_t count)
{
	const struct option_row *row;
	puts("# fish completion for nfctl\ncomplete -c nfctl -f");
	for (size_t i = 0; i < count; i++) {
		printf("complete -c nfctl -n __fish_use_subcommand -a %s -d '", commands[i].name);
		print_escaped(commands[i].help, "\\");
		puts("'");
		if (commands[i].words)
			printf("complete -c nfctl -n '__fish_seen_subcommand_from %s' -a '%s'\n",
				commands[i].name, commands[i].words);
	}
	for (size_t i = 0; (row = options_row(i)) != NULL; i++) {
		printf("complete -c nfctl");
		if (row->commands)
			printf(" -n '__fish_seen_subcommand_from %s'", row->commands);
		if (row->letter)
			printf(" -s %c", row->letter);
		printf(" -l %s%s -d '", row->name + 2, row->argument ? " -r" : "");
		print_escaped(row->help, "\\");
		puts("'");
	}
}

static const struct {
	const char *shell;
	void (*print)(const struct command *commands, size_t count);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

int completion_command(const struct options *options)
{
	size_t count;
	const struct command *commands = options_commands(&count);
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].shell, options->argument) == 0)
			shells[i].print(commands, count);
	}
	return NFCTL_GOOD;
}
