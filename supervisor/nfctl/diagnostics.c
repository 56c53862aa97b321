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
#include "supervisor/nfctl/reader.h"
#include "supervisor/nfctl/redact.h"
#include "supervisor/platform.h"

#define DIAGNOSTICS_MS   27000
#define PROGRAM_MS       10000 /* for one program */
#define STATE_MS         5000  /* for the state folder */
#define MEMBER_BYTES_MAX READER_FILE_BYTES_MAX
#define RECORDS_MAX      50
#define WORDS_MAX        12
#define FLIGHT_BYTES     (1024 * 1024)

struct diagnostics {
	const struct options *options;
	struct archive archive;
	struct redact redact;
	struct bytes bytes; /* of one member */
	struct mono until;
	char state[PATH_BYTES_MAX + 1];     /* the state folder, or empty */
	char own[PATH_BYTES_MAX + 1];       /* this program */
	char tokens[3][PATH_BYTES_MAX + 1]; /* files with secrets */
	bool has_flight;
	bool is_stuck; /* the state folder is not touched any more */
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
	capture(argv, mono_earlier(all->until, mono_after(mono_now(), PROGRAM_MS)), &all->bytes);
	keep(all, member->name);
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

static void give_run(const struct diagnostics *all, int out, const char *name, const char *suffix)
{
	char path[2 * PATH_BYTES_MAX], member[RUN_NAME_BYTES_MAX + 32];
	snprintf(path, sizeof(path), "%s/runs/%s%s", all->state, name, suffix);
	snprintf(member, sizeof(member), "%s%s", name, suffix);
	reader_give(out, member, path, O_NOFOLLOW);
}

/* In a child of its own, as all that touches the state folder: its disk may hang. */
static void give_state(int out, void *data)
{
	struct diagnostics *all = data;
	char path[PATH_BYTES_MAX + 8];
	if (!all->has_flight) {
		snprintf(path, sizeof(path), "%s/flight", all->state);
		reader_give(out, "flight.saved", path, O_NOFOLLOW);
	}
	list_names(all);
	for (uint32_t i = 0; i < all->name_count; i++) {
		give_run(all, out, all->names[i], ".run");
		if (all->options->with_output)
			give_run(all, out, all->names[i], ".out");
	}
}

static void give_secrets(int out, void *data)
{
	const struct diagnostics *all = data;
	for (size_t i = 0; i < sizeof(all->tokens) / sizeof(all->tokens[0]); i++) {
		if (*all->tokens[i])
			reader_give(out, "token", all->tokens[i], 0);
	}
}

/* Secrets are learnt, anything else becomes a member. */
static void take(struct diagnostics *all, void (*give)(int out, void *data), bool is_secret)
{
	char name[READER_NAME_BYTES_MAX + 1];
	struct reader reader;
	enum reader_verdict verdict = READER_STUCK;
	if (all->is_stuck || reader_open(&reader, give, all) < 0)
		return;
	struct mono until = mono_earlier(all->until, mono_after(mono_now(), STATE_MS));
	while ((verdict = reader_next(&reader, until, name, &all->bytes)) == READER_FILE) {
		if (!is_secret) {
			keep(all, name);
			continue;
		}
		bytes_append(&all->bytes, "", 1);
		redact_learn(&all->redact, (const char *)all->bytes.data);
		bytes_wipe(all->bytes.data, all->bytes.size);
		bytes_clear(&all->bytes);
	}
	reader_close(&reader);
	bytes_clear(&all->bytes);
	if (verdict == READER_END)
		return;
	all->is_stuck = true;
	bytes_printf(
		&all->bytes, "%s was not read in time: its disk hangs, or is slow\n", all->state);
	keep(all, "state.txt");
}

/* The settings that the agent works with, or that it would have from here. */
static void add_settings(struct diagnostics *all, struct bytes *settings)
{
	char tried[PATH_BYTES_MAX + 1], error[CONFIG_ERROR_BYTES];
	struct config config;
	struct config_from from = {.path = all->options->config, .lookup = config_environment};
	struct client client;
	struct control control = {.type = CONTROL_ASK_STATUS, .ask_status = {.runs_max = 0}};
	if (config_load(&config, &from, error) < 0) {
		bytes_printf(settings, "%s\n", error);
	} else {
		redact_learn(&all->redact, config.token);
		snprintf(all->tokens[0], sizeof(all->tokens[0]), "%s", config.token_file);
		snprintf(all->tokens[1], sizeof(all->tokens[1]), "%s", config.token_cache);
		snprintf(all->state, sizeof(all->state), "%s", config.state_dir);
		config_list(&config, settings);
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
		snprintf(all->tokens[2], sizeof(all->tokens[2]), "%.1000s/token", all->state);
		bytes_printf(settings, "# the running agent's own:\nurl=%.*s\nstate=%s\n",
			TEXT_ARGS(control.status.url), all->state);
		break;
	}
	client_close(&client);
}

/* As it is in the agent's memory now; else it is looked for as it was last saved. */
static void add_flight(struct diagnostics *all)
{
	char tried[PATH_BYTES_MAX + 1];
	struct client client;
	struct control control = {.type = CONTROL_ASK_FLIGHT, .ask_flight = {.most = FLIGHT_BYTES}};
	if (client_open(&client, all->options->socket, tried) == 0) {
		client.wait_ms = 3000;
		if (client_ask(&client, &control) == 0) {
			while (client_next(&client, &control) == 0 && control.type == CONTROL_PIECE)
				bytes_append(&all->bytes, control.piece.bytes.data,
					control.piece.bytes.size);
			all->has_flight = control.type == CONTROL_DONE && all->bytes.size > 0;
		}
		client_close(&client);
	}
	if (all->has_flight)
		keep(all, "flight");
	bytes_clear(&all->bytes);
}

static void collect(struct diagnostics *all)
{
	/* Where the secrets are is found first: what is collected after is searched for them. */
	struct bytes settings;
	bytes_init(&settings, MEMBER_BYTES_MAX);
	add_settings(all, &settings);
	take(all, give_secrets, true);
	bytes_append(&all->bytes, settings.data, settings.size);
	bytes_finish(&settings);
	keep(all, "settings.txt");
	add_flight(all);
	take(all, give_state, false);
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
