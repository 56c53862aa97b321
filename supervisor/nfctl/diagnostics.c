/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nfctl diagnostics: an archive for a bug report, in DIAGNOSTICS_MS at most, with or without an
 * agent. What nfctl can say it is asked for as a program, so that nothing can hold it up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/record.h"
#include "supervisor/config.h"
#include "supervisor/nfctl/archive.h"
#include "supervisor/nfctl/ask.h"
#include "supervisor/nfctl/capture.h"
#include "supervisor/nfctl/redact.h"
#include "supervisor/platform.h"

#define DIAGNOSTICS_MS   27000
#define MEMBER_BYTES_MAX (4 * 1024 * 1024)
#define RECORDS_MAX      50
#define WORDS_MAX        12
#define FLIGHT_BYTES     (1024 * 1024)

struct diagnostics {
	const struct options *options;
	struct archive archive;
	struct redact redact;
	struct bytes bytes; /* of one member */
	struct mono until;
	char state[PATH_BYTES_MAX + 1]; /* the state folder, or empty */
	char own[PATH_BYTES_MAX + 1];   /* this program */
	char names[RECORDS_MAX][RUN_NAME_BYTES_MAX + 1];
	uint32_t name_count;
	int error; /* of the archive: errno */
};

/* What was collected becomes a member, without its secrets. */
static void keep(struct diagnostics *all, const char *name)
{
	redact(&all->redact, (char *)all->bytes.data, all->bytes.size);
	struct text content = {(const char *)all->bytes.data, all->bytes.size};
	if (all->bytes.size > 0 && archive_add(&all->archive, name, content) < 0 &&
		errno != ENAMETOOLONG)
		all->error = errno;
	bytes_clear(&all->bytes);
}

static const struct member {
	const char *name;
	const char *words[WORDS_MAX]; /* "nfctl" is this program */
} members[] = {
	{"status.json", {"nfctl", "status", "--json"}}, {"status.txt", {"nfctl", "status"}},
	{"runs.json", {"nfctl", "runs", "--json"}}, {"why.txt", {"nfctl", "why"}},
	{"metrics.txt", {"nfctl", "metrics"}}, {"host.txt", {"uname", "-a"}},
	{"unit.txt", {"systemctl", "cat", "--no-pager", "nixfleet-agent.service"}},
	{"journal.txt", {"journalctl", "--no-pager", "-o", "short-iso", "-n", "2000", "-u",
				"nixfleet-agent.service"}},
	{"journal-user.txt", {"journalctl", "--no-pager", "-o", "short-iso", "-n", "2000",
				     "--user-unit", "nixfleet-agent.service"}},
	{"doctor.txt", {"nfctl", "doctor"}}, /* the one that can take long */
};

static void add_program(struct diagnostics *all, const struct member *member)
{
	const char *argv[WORDS_MAX + 3] = {member->words[0]};
	bool is_own = strcmp(member->words[0], "nfctl") == 0;
	size_t count = 0;
	for (; member->words[count]; count++)
		argv[count] = member->words[count];
	if (is_own) {
		argv[0] = all->own;
		if (all->options->socket) {
			argv[count++] = "--socket";
			argv[count++] = all->options->socket;
		}
	}
	argv[count] = NULL;
	capture(argv, all->until, &all->bytes);
	keep(all, member->name);
}

static void add_file(struct diagnostics *all, int fd, const char *name)
{
	uint8_t *to = bytes_reserve(&all->bytes, MEMBER_BYTES_MAX);
	off_t size = fd < 0 || !to ? 0 : lseek(fd, 0, SEEK_END);
	off_t from = size > MEMBER_BYTES_MAX ? size - MEMBER_BYTES_MAX : 0;
	ssize_t got = size > 0 ? fd_read_at(fd, to, MEMBER_BYTES_MAX, from) : 0;
	if (got > 0)
		bytes_grew(&all->bytes, (uint32_t)got);
	keep(all, name);
}

/* The newest ones; their names order them well enough. */
static void list_names(struct diagnostics *all)
{
	char path[PATH_BYTES_MAX + 8];
	struct dirent **entries = NULL;
	snprintf(path, sizeof(path), "%s/runs", all->state);
	int count = *all->state ? scandir(path, &entries, NULL, alphasort) : 0;
	for (int i = count - 1; i >= 0; i--) {
		size_t size = strlen(entries[i]->d_name);
		struct text name = {entries[i]->d_name, size > 4 ? (uint32_t)size - 4 : 0};
		if (size > 4 && strcmp(entries[i]->d_name + size - 4, ".run") == 0 &&
			record_name_is_legal(name) && all->name_count < RECORDS_MAX)
			text_copy(name, all->names[all->name_count++], RUN_NAME_BYTES_MAX + 1);
		free(entries[i]);
	}
	free(entries);
}

static void add_of_run(struct diagnostics *all, const char *name, const char *suffix)
{
	char path[2 * PATH_BYTES_MAX], member[RUN_NAME_BYTES_MAX + 32];
	snprintf(path, sizeof(path), "%s/runs/%s%s", all->state, name, suffix);
	snprintf(member, sizeof(member), "%s%s", name, suffix);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	add_file(all, fd, member);
}

static void add_runs(struct diagnostics *all)
{
	list_names(all);
	for (uint32_t i = 0; i < all->name_count && !mono_reached(mono_now(), all->until); i++) {
		add_of_run(all, all->names[i], ".run");
		if (all->options->with_output)
			add_of_run(all, all->names[i], ".out");
	}
}

/* The settings that the agent works with, or that it would have from here. */
static void add_settings(struct diagnostics *all)
{
	char tried[PATH_BYTES_MAX + 1], error[CONFIG_ERROR_BYTES];
	struct config config;
	struct client client;
	struct control control = {.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = 0}};
	if (config_load(&config, all->options->config, error, config_environment, NULL) < 0) {
		bytes_printf(&all->bytes, "%s\n", error);
	} else {
		redact_learn(&all->redact, config.token);
		redact_learn_file(&all->redact, config.token_file);
		redact_learn_file(&all->redact, config.token_cache);
		snprintf(all->state, sizeof(all->state), "%s", config.state_dir);
		config_list(&config, &all->bytes);
		config_finish(&config);
	}
	redact_learn(&all->redact, getenv("NIXFLEET_TOKEN"));
	if (client_open(&client, all->options->socket, tried) < 0)
		return;
	client.wait_ms = 3000;
	while (client_ask(&client, &control) == 0 && client_next(&client, &control) == 0) {
		if (control.type != CONTROL_STATUS)
			break;
		text_copy(control.status.state_dir, all->state, sizeof(all->state));
		snprintf(tried, sizeof(tried), "%.1000s/token", all->state);
		redact_learn_file(&all->redact, tried);
		bytes_printf(&all->bytes, "# the running agent's own:\nurl=%.*s\nstate=%s\n",
			TEXT_ARGS(control.status.url), all->state);
		break;
	}
	client_close(&client);
}

/* As it is in the agent's memory now; else as it was last saved. */
static void add_flight(struct diagnostics *all)
{
	char path[PATH_BYTES_MAX + 8], tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control = {.type = CONTROL_ASK_FLIGHT, .ask_flight = {.most = FLIGHT_BYTES}};
	bool is_told = false;
	if (client_open(&client, all->options->socket, tried) == 0) {
		client.wait_ms = 3000;
		if (client_ask(&client, &control) == 0) {
			while (client_next(&client, &control) == 0 && control.type == CONTROL_PIECE)
				bytes_append(&all->bytes, control.piece.bytes.data,
					control.piece.bytes.size);
			is_told = control.type == CONTROL_DONE && all->bytes.size > 0;
		}
		client_close(&client);
	}
	if (is_told) {
		keep(all, "flight");
		return;
	}
	bytes_clear(&all->bytes);
	snprintf(path, sizeof(path), "%s/flight", all->state);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	add_file(all, fd, "flight.saved");
}

static void collect(struct diagnostics *all)
{
	/* Where the secrets are is found first: what is collected after is searched for them. */
	add_settings(all);
	keep(all, "settings.txt");
	add_flight(all);
	add_runs(all);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		add_program(all, &members[i]);
	if (archive_finish(&all->archive) < 0)
		all->error = errno;
}

int diagnostics_command(const struct options *options)
{
	char when[WALL_TEXT_BYTES], folder[64], path[PATH_BYTES_MAX + 1];
	struct wall now = wall_now();
	wall_compact(now, when);
	snprintf(folder, sizeof(folder), "nixfleet-diagnostics-%s", when);
	snprintf(path, sizeof(path), "%s%s", options->argument ? options->argument : folder,
		options->argument ? "" : ".tar");
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct diagnostics *all = calloc(1, sizeof(*all));
	if (fd < 0 || !all || platform_own_path(all->own, sizeof(all->own)) < 0) {
		log_error("%s: %s", path, strerror(errno));
		fd_drop(&fd);
		free(all);
		return NFCTL_FAILED;
	}
	all->options = options;
	all->archive = (struct archive){fd, folder, wall_ms(now) / 1000};
	all->until = mono_after(mono_now(), DIAGNOSTICS_MS);
	bytes_init(&all->bytes, 2 * MEMBER_BYTES_MAX);
	collect(all);
	int error = all->error;
	bytes_finish(&all->bytes);
	bytes_wipe(all, sizeof(*all));
	free(all);
	close(fd);
	if (error != 0) {
		unlink(path);
		log_error("%s: %s", path, strerror(error));
		return NFCTL_FAILED;
	}
	printf("%s\n", path);
	return NFCTL_GOOD;
}
