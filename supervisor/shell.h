/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor's I/O: one loop that turns descriptors, timers and signals into events for the
 * rules and the rules' actions into calls. Nothing in it blocks: what could is a child with a
 * deadline. libevent's callbacks only note what woke us, a flag per descriptor, timer and signal;
 * the work is done after the wait returned. A payload stays in its channel, and a posted text in
 * the inbox, until its turn is over.
 */
#pragma once

#include <event2/event.h>

#include "proto/channel.h"
#include "supervisor/config.h"
#include "supervisor/isolation.h"
#include "supervisor/lock.h"
#include "supervisor/notify.h"
#include "supervisor/rules.h"

#define SHELL_CHILDREN_MAX 32
#define SHELL_INBOX_MAX    64
#define SHELL_LOOKS_MAX    4
#define SHELL_ANSWERS_MAX  8
#define SHELL_ADOPTED_MAX  4
#define FLIGHT_BYTES       (1024 * 1024)
#define PROBE_TEXT_BYTES   (REASON_BYTES_MAX + 1)

struct shell;

enum child_kind {
	CHILD_FREE,
	CHILD_PROBE,
	CHILD_WORKER,
	CHILD_RUNNER,
	CHILD_LOOK,
	CHILD_STORE,
	CHILD_ADOPTED, /* a runner of an earlier agent: only its end is seen */
	CHILD_ANSWER,  /* reads the disk for a client of the control socket */
	CHILD_RELOAD,  /* reads the configuration again */
};

struct child {
	enum child_kind kind;
	pid_t pid;
	struct shell *shell;
	struct channel channel; /* fd -1 where it has none */
	struct event *readable;
	struct event *writable;
	bool is_readable, is_writable; /* noted by the callbacks */
	struct mono started;
	uint64_t kill_after_ms; /* 0: never by itself */
	uint64_t epoch;         /* WORKER, LOOK */
	uint64_t request;       /* LOOK */
	uint32_t run;           /* RUNNER, ADOPTED, STORE; LOOK: of an action */
	enum rules_act act;
	bool is_answered;            /* STORE, LOOK: its last frame came */
	char text[PROBE_TEXT_BYTES]; /* PROBE: its line; LOOK: the name */
	uint32_t text_size;
};

/* What woke the loop besides children and clients. */
struct shell_wakes {
	bool is_timer, is_child, is_reload, is_route;
	int stop; /* the signal's number; 0: none */
};

/* A completion that a failed call made: taken after the turn that caused it. */
struct shell_posted {
	struct rules_event event;
	char text[REASON_BYTES_MAX + 1];
};

enum reload_state {
	RELOAD_NONE,
	RELOAD_READING,
	RELOAD_HUNG, /* given up and killed, and still there */
};

struct reload {
	enum reload_state state;
	struct reload_read *read; /* shared with the child */
	uint64_t client;          /* of the control socket, who is answered; 0: a signal asked */
	bool is_wanted;           /* by a signal, while it was being read */
	struct mono due;
};

struct control_server;

struct shell {
	struct event_base *base;
	struct config config;
	const char *config_path;
	struct lock *lock;
	struct notify notify;
	struct rules rules;
	struct rules_actions actions;
	struct child children[SHELL_CHILDREN_MAX];
	struct shell_posted inbox[SHELL_INBOX_MAX];
	uint32_t inbox_count;
	struct control_server *control;
	struct reload reload;
	struct shell_wakes wakes;
	struct event *timer;
	struct event *signals[4];
	struct event *routes;
	struct mono timer_due;
	struct mono started;
	struct mono watchdog_next;
	struct mono route_told, route_due;
	int state_folder; /* not the lock's: children may keep it open */
	int runs_folder;
	int flight; /* the worker's last events, in shared memory; -1: none */
	uint64_t worker_starts;
	/* Where the commands come from, from this worker on, and where those of the workers before
	 * it came from: a reload does not change that of what is just being accepted. */
	char dashboard[URL_BYTES_MAX + 1];
	uint64_t dashboard_epoch;
	char dashboard_before[URL_BYTES_MAX + 1];
	enum isolation isolation; /* as it was at start */
	char own_token[TOKEN_BYTES_MAX + 1];
	char store_trouble[REASON_BYTES_MAX + 1];  /* what the disk last refused; empty: nothing */
	char config_trouble[REASON_BYTES_MAX + 1]; /* of the last reload; empty: it was good */
	char status_text[REASON_BYTES_MAX + 1];
	bool is_done;
	int exit_code;
};

/* Everything is opened before READY=1; after that nothing but a stop ends the loop. The lock is
 * held and stays the caller's. Returns the exit code, or -1 when the system refused something at
 * start (logged, with the call). */
int shell_run(struct shell *shell);

/* One event: step, then perform what came out of it. */
void shell_turn(struct shell *shell, const struct rules_event *event);
/* The health in one line, where it is another one. */
void shell_tell_manager(struct shell *shell);
/* After something outside the rules has got another deadline. */
void shell_set_timer(struct shell *shell);
/* For a completion that arises while performing. text may be NULL. */
struct rules_event *shell_post(struct shell *shell, enum rules_event_type type, const char *text);
/* An event with the clocks filled in. */
struct rules_event shell_event(enum rules_event_type type);

/* ---- reload.c ---- */
/* Reads the configuration again; a bad one is not used. client: who is answered, or 0. */
void reload_begin(struct shell *shell, uint64_t client);
void reload_exited(struct child *child, int status);
/* Nobody ran for a while: its time begins again. */
void reload_away(struct shell *shell);
/* Gives up one that takes too long; when that is due. */
struct mono reload_due(struct shell *shell, struct mono now);

/* ---- children.c ---- */
/* Takes a place of this kind, of which one is free: who forks has asked child_count(). fd is taken
 * over; -1: none. */
struct child *child_add(struct shell *shell, enum child_kind kind, pid_t pid, int fd);
void child_remove(struct child *child);
struct child *child_find(struct shell *shell, enum child_kind kind);
uint32_t child_count(const struct shell *shell, enum child_kind kind);
/* Sends what its channel holds, now or when it is writable. */
void child_flush(struct child *child);
/* Reads and sends what the callbacks noted. */
void children_work(struct shell *shell);
/* Every child that ended, with what it said last; false: there may be more. */
bool children_reap(struct shell *shell);
/* Kills those over their time; the next time that one is. */
struct mono children_due(struct shell *shell, struct mono now);
/* Both ends close-on-exec and non-blocking. 0, or -1 with errno. */
int child_socketpair(int ends[2]);

/* ---- one per kind ---- */
void probe_perform(struct shell *shell);
void probe_readable(struct child *child);
void probe_exited(struct child *child, int status);

void worker_perform_start(struct shell *shell);
/* The dashboard of the worker of that epoch. */
const char *worker_dashboard(const struct shell *shell, uint64_t epoch);
void worker_perform_kill(struct shell *shell);
void worker_perform_send(struct shell *shell, const struct message *message);
void worker_readable(struct child *child);
void worker_process_exited(struct child *child, int status);

void runner_perform_start(struct shell *shell, uint32_t run);
void runner_perform_kill(struct shell *shell, uint32_t run);
void runner_perform_watch(struct shell *shell, uint32_t run);
void adopted_readable(struct child *child);
void adopted_exited(struct child *child, int status);
void action_perform(struct shell *shell, uint32_t run);
void look_perform(struct shell *shell, uint64_t request, struct text name);
void runner_readable(struct child *child);
void runner_process_exited(struct child *child, int status);
void look_process_exited(struct child *child, int status);

void store_perform(struct shell *shell, enum rules_act act, uint32_t run, uint8_t byte);
void store_readable(struct child *child);
void store_exited(struct child *child, int status);

/* "exit code 3", "signal 9". text holds 32 bytes. */
void exit_text(int status, char *text);
