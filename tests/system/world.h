/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A host with its dashboard, made of real processes in a folder of its own: the little dashboard,
 * the agent, a git repository, and stubs that stand first in PATH. Everything it started bears its
 * mark in the environment and is ended, by pid, in world_close().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORLD_VARIABLES_MAX 48
#define WORLD_TEXT_BYTES    512

struct world {
	char folder[64];
	char host[48];
	char mark[64]; /* NAME=value, in the environment of all that was started */
	pid_t dashboard;
	pid_t agent;
	int port;
	bool has_dashboard;
	char *variables[WORLD_VARIABLES_MAX]; /* NAME=value of the agent; owned */
	uint32_t variable_count;
	char libexec[WORLD_TEXT_BYTES];  /* the helpers' folder; empty: the build's own */
	char launcher[WORLD_TEXT_BYTES]; /* is given the agent's words and becomes it; empty: none
					  */
};

/* Milliseconds on the monotonic clock. */
uint64_t world_ms(void);

/* Makes the folder, the repository and the agent's variables. NULL: standalone; else the dashboard
 * is started with these options (words separated by spaces, may be ""). */
void world_open(struct world *world, const char *dashboard_options);
void world_close(struct world *world);
/* From now on only this process and those that it starts see what it mounts. Skips the test where
 * that is not allowed. */
void world_own_mounts(void);
/* Sets a variable of the agent, for its next start; NULL removes it. */
void world_set(struct world *world, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes an executable script into the folder that stands first in PATH. */
void world_stub(struct world *world, const char *name, const char *script);
/* Writes a file below the world's folder. */
void world_file(struct world *world, const char *path, const char *content, int mode);

void world_agent_start(struct world *world);
/* world_open, a nixos-rebuild that does nothing, and an agent that is healthy. */
void world_begin(struct world *world, const char *dashboard_options);
/* Fails the test, with the agent's log, unless the dashboard has seen it within 15 s. */
void world_agent_start_registered(struct world *world);
/* Waits for it to end; the exit code, or 1000 + signal. Fails the test after ms. */
int world_agent_wait(struct world *world, uint64_t ms);
/* SIGTERM and world_agent_wait. */
int world_agent_stop(struct world *world);
/* The agent's log so far; the caller frees. */
char *world_log(struct world *world);

void world_dashboard_start(struct world *world, const char *options);
void world_dashboard_stop(struct world *world);

/* A request to the dashboard; the HTTP status, and the answer in *json where there is one (the
 * caller drops it; json may be NULL). 0: nobody answers. */
long world_request(
	struct world *world, const char *method, const char *path, const char *body, json_t **json);
/* The dashboard's knowledge of the host, or NULL. The caller drops it. */
json_t *world_seen(struct world *world);
/* Queues a command; fails the test unless the dashboard takes it. */
void world_command(struct world *world, const char *command);
void world_fault(struct world *world, const char *json);

/* The requests the dashboard logged, oldest first; the caller drops the array. */
json_t *world_requests(struct world *world);
/* How many of them have this path's last part ("register", "status", …). */
uint32_t world_count(struct world *world, const char *kind);

/* Waits until the condition holds; false after ms. */
bool world_until(struct world *world, uint64_t ms, bool (*holds)(struct world *world, void *data),
	void *data);
/* The dashboard has seen the host often enough to give it commands. */
bool world_is_registered(struct world *world, void *unused);
/* data: a number of closed rows in the command log. */
bool world_has_outcomes(struct world *world, void *count);
/* The newest closed row of the dashboard's command log: its field's text, or "". Copied into text.
 */
const char *world_outcome(struct world *world, const char *field, char text[WORLD_TEXT_BYTES]);

/* Fails the test, with the end of the agent's log, unless there are so many outcomes within ms. */
void world_expect_outcomes(struct world *world, int count, uint64_t ms);
/* Fails the test unless that field of the newest outcome contains the needle. */
void world_expect(struct world *world, const char *field, const char *needle);
/* What a file below the world's folder holds, until the next call; "" where there is none. */
char *world_content(struct world *world, const char *path);
/* data: a path below the world's folder. */
bool world_has_file(struct world *world, void *path);

/* Runs nfctl with these words; its exit code, and what it printed (both streams) in *output, which
 * the caller frees (may be NULL). */
int world_nfctl(struct world *world, const char *words, char **output);
/* Fails the test unless nfctl with these words exits so and says this. */
void world_expect_nfctl(struct world *world, const char *words, int code, const char *said);
/* A shell script whose $NFCTL is nfctl and $FOLDER the world's; its exit code. What it printed is
 * the caller's to free; output may be NULL. */
int world_script(struct world *world, const char *text, char **output);
/* nfctl status --json; NULL when it does not run. */
json_t *world_status(struct world *world);
/* data: "field=value", compared with nfctl status. */
bool world_status_is(struct world *world, void *data);
/* data: a text that `nfctl runs` contains. The dashboard has an outcome before the record says so.
 */
bool world_runs_say(struct world *world, void *data);

/* How many processes bear the mark besides agent and dashboard, found from outside by their
 * environment; names (WORLD_TEXT_BYTES) may be NULL. */
uint32_t world_survivors(struct world *world, const char *needle, char *names);
/* The worker's pid, from nfctl status; 0: none. */
pid_t world_worker(struct world *world);
/* data: the pid_t of the one before. */
bool world_has_another_worker(struct world *world, void *former);
