/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the supervisor decides: the gate, the worker's life, the runs. Pure: time and results come
 * in events, what is to be done goes out as actions, and nothing in here reads a clock, allocates,
 * logs or calls the system. The shell (shell.c) turns descriptors into events and actions into
 * calls.
 *
 * Each action that starts something ends in exactly one event: ACTION_PROBE in EVENT_PROBED,
 * ACTION_WORKER_START in EVENT_WORKER_STARTED or _EXITED, ACTION_STORE in EVENT_STORED,
 * ACTION_RUNNER_START in EVENT_RUNNER_EXITED (before it EVENT_RUNNER_STARTED, unless it could not
 * be started), ACTION_WATCH in EVENT_RUNNER_EXITED, ACTION_ACT in EVENT_ACTED.
 */
#pragma once

#include <sys/types.h>

#include "proto/base/limits.h"
#include "proto/base/time.h"
#include "proto/message.h"
#include "proto/record.h"

#define RULES_ACTIONS_MAX  64
#define RULES_HOST_OPS_MAX 32
#define RULES_HISTORY_MAX  16 /* built-in commands whose newest end is remembered */
#define RULES_DEATHS_KEPT  WORKER_DEATHS_MAX
#define RULES_NO_RUN       UINT32_MAX
#define RULES_NO_CLIENT    0

#define RULES_EVENTS(X)                                       \
	X(EVENT_START, "start")                               \
	X(EVENT_DUE, "due")                                   \
	X(EVENT_PROBED, "probed")                             \
	X(EVENT_NETWORK, "network changed")                   \
	X(EVENT_AWAY, "was away")                             \
	X(EVENT_WORKER_STARTED, "worker started")             \
	X(EVENT_WORKER_SAID, "worker said")                   \
	X(EVENT_WORKER_VIOLATED, "worker broke the protocol") \
	X(EVENT_WORKER_EXITED, "worker exited")               \
	X(EVENT_STORED, "stored")                             \
	X(EVENT_FOUND, "found record")                        \
	X(EVENT_RUNNER_STARTED, "runner started")             \
	X(EVENT_RUNNER_REPORTED_START, "command started")     \
	X(EVENT_RUNNER_REPORTED_RESULT, "command ended")      \
	X(EVENT_RUNNER_EXITED, "runner exited")               \
	X(EVENT_LOOK_ENDED, "look ended")                     \
	X(EVENT_ACTED, "action ended")                        \
	X(EVENT_ASKED_RUN, "asked to run")                    \
	X(EVENT_ASKED_CANCEL, "asked to cancel")              \
	X(EVENT_RELOADED, "configuration changed")            \
	X(EVENT_KICKED, "told to try now")                    \
	X(EVENT_ASKED_PAUSE, "asked to pause")                \
	X(EVENT_STOP, "stop")

#define RULES_ACTIONS(X)                       \
	X(ACTION_PROBE, "probe the network")   \
	X(ACTION_WORKER_START, "start worker") \
	X(ACTION_WORKER_KILL, "kill worker")   \
	X(ACTION_SEND, "tell worker")          \
	X(ACTION_STORE, "store")               \
	X(ACTION_RUNNER_START, "start runner") \
	X(ACTION_RUNNER_KILL, "kill runner")   \
	X(ACTION_WATCH, "watch runner")        \
	X(ACTION_LOOK, "look")                 \
	X(ACTION_ACT, "perform the action")    \
	X(ACTION_REPLY, "reply")               \
	X(ACTION_EXIT, "exit")

/* What a store child does; the shell gives it what the core's state holds. */
#define RULES_ACTS(X)                                \
	X(ACT_SCAN, "read the records")              \
	X(ACT_ACCEPT, "accept a command")            \
	X(ACT_SETTLE, "settle a run")                \
	X(ACT_KEEP, "keep a result")                 \
	X(ACT_MARK, "mark a run")                    \
	X(ACT_CANCEL, "cancel a run")                \
	X(ACT_END, "end a hung runner")              \
	X(ACT_TOKEN, "keep the token")               \
	X(ACT_RETAIN, "remove old records")          \
	X(ACT_FLIGHT, "save the flight recorder")    \
	X(ACT_SENT, "note how much output was sent") \
	X(ACT_PAUSE, "keep the pause")

#define X(NAME, text) NAME,
enum rules_event_type {
	RULES_EVENTS(X)
};
enum rules_action_type {
	RULES_ACTIONS(X)
};
enum rules_act {
	RULES_ACTS(X)
};
#undef X

const char *rules_event_name(enum rules_event_type type);
const char *rules_action_name(enum rules_action_type type);
const char *rules_act_name(enum rules_act act);

enum gate_state {
	GATE_NONE,
	GATE_SHUT,
	GATE_OPEN,
	GATE_FORCED
};

enum worker_state {
	WORKER_NONE,     /* standalone, or not needed any more */
	WORKER_WAITING,  /* starts at worker.due */
	WORKER_STARTING, /* asked for, not ready */
	WORKER_UP,
	WORKER_DEGRADED, /* answers late */
	WORKER_ENDING,   /* told to stop or killed; not gone yet */
};

enum run_state {
	RUN_FREE,
	RUN_ACCEPTING, /* not on disk yet */
	RUN_QUEUED,    /* accepted */
	RUN_STARTING,  /* a runner was asked for */
	RUN_GOING,
	RUN_SETTLING, /* its runner is gone, or is somebody else's: the record says what happened */
	RUN_KEEPING,  /* the outcome is known here and not yet in the record */
	RUN_ENDED,
};

enum run_telling {
	TELLING_NONE, /* not owed */
	TELLING_OWED,
	TELLING_TOLD,    /* this worker knows */
	TELLING_MARKING, /* the dashboard has it; the record does not say so yet */
	TELLING_DONE,
	TELLING_FAILED, /* undeliverable */
};

/* What each step looks at in all runs stands first: it fits two lines of the processor's cache, and
 * the texts are not touched. */
struct rules_run {
	enum run_state state;
	enum run_telling telling;
	enum origin origin;
	enum outcome outcome;
	bool is_storing; /* one act at a time */
	bool is_held;    /* asked for before the records were read: it has no number yet */
	bool is_adopted; /* the runner is no child of ours: its process is watched */
	bool is_announced;
	bool is_killing;     /* the runner outlived every limit */
	bool may_go_outside; /* an activation in a unit of its own is waited for */
	uint8_t cancel;      /* 0, 't' or 'k': to be said once the runner listens */
	uint8_t cancel_said; /* what the act under way, or the last one, says */
	uint64_t sequence;
	struct mono retry; /* when an act that failed is tried again, MONO_NEVER when none is due */
	struct mono started;
	uint64_t deadline_ms;
	uint32_t worker_deaths; /* while it was told and not delivered */
	uint32_t processes;     /* runners asked for or watched whose end was not seen */
	uint32_t starts;        /* of a runner that came to nothing */
	uint32_t tries;
	uint64_t marked_scan;   /* the reading of the records during which it was marked */
	uint64_t history_epoch; /* the worker that learnt of its end by the history */
	uint64_t request;       /* of the worker that asked, in worker_epoch */
	uint64_t worker_epoch;
	uint64_t client; /* who of the control socket waits for the acceptance */
	pid_t pid;
	uint64_t start_ticks; /* of pid, where the record names it */
	int64_t wall_ms;
	int64_t code;
	uint64_t sent; /* the dashboard has its output up to there */
	char name[RUN_NAME_BYTES_MAX + 1];
	char command[COMMAND_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 1];
	char summary[SHORT_TEXT_BYTES_MAX + 1];
	char undeliverable[REASON_BYTES_MAX + 1];
};

/* How the newest run of a command ended. */
struct rules_past {
	uint64_t sequence; /* 0: free */
	int64_t wall_ms;
	enum outcome outcome;
	int64_t code;
	char command[COMMAND_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 1];
	char summary[SHORT_TEXT_BYTES_MAX + 1];
};

struct rules_gate {
	enum gate_state state;
	bool is_probing;
	bool is_stale; /* the network changed while a probe was under way */
	struct mono since;
	struct mono next;
	char reason[REASON_BYTES_MAX + 1];
};

struct rules_worker {
	enum worker_state state;
	uint64_t epoch;
	pid_t pid;
	struct mono since; /* of this state's start: started, or waiting */
	struct mono due;   /* WAITING: start; ENDING: kill */
	struct mono heard;
	struct mono away; /* when we were last not scheduled */
	struct mono ping_next;
	uint64_t ping_sequence;
	uint64_t backoff_ms;
	bool is_safe_mode;
	bool is_killed;
	bool is_untrusted; /* it broke the protocol: nothing it said after that counts */
	bool is_blameless; /* killed for want of contact, not for what it was told */
	bool is_outdated;  /* killed at its start, for another configuration */
	bool is_doubted;   /* a probe is to tell whether its want of contact is its own */
	struct mono deaths[RULES_DEATHS_KEPT];
	uint32_t death_count;
	struct mono replaced; /* for want of contact */
	bool was_replaced;
	enum link link;
	struct mono contact; /* MONO_NEVER: none yet */
	struct mono retry;   /* of the dashboard; MONO_NEVER: not waited for */
	char detail[REASON_BYTES_MAX + 1];
};

struct rules_token {
	char text[TOKEN_BYTES_MAX + 1];
	bool is_storing, is_kept, is_answered;
	bool is_again; /* another came while one was being kept */
	struct mono retry;
};

#define PAUSE_FOR_EVER UINT64_MAX

struct rules_pause {
	bool is_on;
	struct mono until;     /* MONO_NEVER: until resumed */
	int64_t until_wall_ms; /* 0: until resumed */
	char reason[SHORT_TEXT_BYTES_MAX + 1];
	char sentence[REASON_BYTES_MAX + 1];
	uint64_t client; /* who waits for it to be on the disk */
	bool is_storing;
	bool is_again; /* it changed while it was being stored */
	struct mono retry, save_next;
};

/* What was on the disk at start. */
struct rules_kept_pause {
	bool is_on;
	int64_t until_wall_ms;
	uint64_t left_ms;
	struct text reason;
};

enum leave_state {
	LEAVE_NONE,
	LEAVE_DELIVERING, /* what is owed first, until due */
	LEAVE_ACTING,     /* a runner performs the action */
	LEAVE_ACTED,      /* it did; until due the machine should have gone down */
};

struct rules_leave {
	enum leave_state state;
	uint32_t run; /* the announced command, RULES_NO_RUN for the worker's own wish */
	struct mono due;
	char trouble[REASON_BYTES_MAX + 1]; /* why the last action failed; empty: it did not */
};

struct rules {
	enum protocol protocol;
	uint64_t random;
	struct rules_gate gate;
	struct rules_worker worker;
	struct rules_token token;
	struct rules_run runs[RUNS_KNOWN_MAX];
	uint32_t run_count; /* places that were ever taken: those beyond are free */
	struct rules_past history[RULES_HISTORY_MAX];
	bool is_scanning, is_scanned, is_more_owed;
	bool is_left_out;   /* by the scan under way: a run that is owed, for want of a place */
	bool is_scan_stale; /* the one under way looks for what another dashboard is owed */
	bool is_other_dashboard; /* the next worker's is not the one of what is owed now */
	uint64_t scan;           /* the number of the last one */
	struct mono scan_retry;
	struct mono retain_next;
	bool is_retaining;
	bool is_saving_flight;
	bool is_saving_sent;
	struct mono sent_next; /* not before */
	bool is_cloning;       /* the agent's own clone is being made: no command meanwhile */
	uint64_t sequence;     /* the last one given */
	bool is_stopping;
	int exit_code;
	int restart_code;
	struct mono stop_due;
	struct rules_leave leave;
	struct rules_pause pause;
	char host_ops[RULES_HOST_OPS_MAX][COMMAND_BYTES_MAX + 1];
	uint32_t host_op_count;
	char refusal[REASON_BYTES_MAX + 1];  /* of the last command that was refused */
	char unkept[RUN_NAME_BYTES_MAX + 1]; /* the last one that was refused without a record */
	struct mono lenient_until;           /* no runner is overdue before: we were away */
	struct mono now;
	struct wall wall;
};

/* Texts and messages are lent for the step. */
struct rules_event {
	enum rules_event_type type;
	struct mono now;
	struct wall wall;
	union {
		struct {
			uint64_t seed;
			enum protocol protocol;
			struct text token; /* the one kept on disk */
			int restart_code;  /* what the service manager starts us again for */
			struct rules_kept_pause pause;
		} start;
		struct {
			bool is_good;
			struct text reason;
		} probed;
		struct {
			uint64_t epoch;
			pid_t pid; /* 0: it could not be started, and EVENT_WORKER_EXITED follows */
		} worker_started;
		struct {
			uint64_t epoch;
			const struct message *message;
		} worker_said;
		struct {
			uint64_t epoch;
			struct text why;
		} worker_violated;
		struct {
			uint64_t epoch;
			struct text why;
		} worker_exited;
		struct {
			enum rules_act act;
			uint32_t run;                /* RULES_NO_RUN where it is not about one */
			int error;                   /* errno, 0 when done */
			const struct record *record; /* ACT_SETTLE: what it says now */
			bool is_live;                /* ACT_SETTLE: a runner holds it */
			bool is_more;                /* ACT_SCAN: owed runs were left out */
			bool is_unsettled;           /* ACT_SCAN: one is just being made */
			uint64_t sequence;           /* ACT_SCAN: the highest there is */
		} stored;
		struct {
			struct text name;
			const struct record *record;
			uint64_t sent; /* of its output */
			bool is_live, is_owed, is_this_boot;
		} found;
		struct {
			uint32_t run;
			pid_t pid;
			uint64_t deadline_ms;
		} runner_started;
		struct {
			uint32_t run;
			enum outcome outcome;
			int64_t code;
			struct text reason, summary;
			bool is_kept;
		} result;
		struct {
			uint32_t run;
			struct text why; /* empty: it ran; else why it could not be started */
		} runner_exited;
		struct {
			uint64_t request, epoch;
			struct text name;
			enum outcome outcome;
			int64_t code;
			struct text output;
		} look_ended;
		struct {
			uint32_t run;
			enum outcome outcome;
			int64_t code;
			struct text reason;
		} acted;
		struct {
			uint64_t client;
			struct text command;
		} asked_run;
		struct {
			uint64_t client;
			struct text run;
			bool is_kill;
		} asked_cancel;
		struct {
			uint64_t client;
			bool is_on;
			uint64_t for_ms; /* PAUSE_FOR_EVER: until resumed */
			struct text reason;
		} asked_pause;
		struct {
			bool is_restart;         /* the worker has to know */
			bool is_other_dashboard; /* then is_restart is set, too */
			enum protocol protocol;
		} reloaded;
	};
};

/* Texts point into the core's state or the event: good until the next step. */
struct rules_action {
	enum rules_action_type type;
	uint32_t run;
	union {
		struct message send;
		struct {
			enum rules_act act;
			uint8_t byte; /* ACT_CANCEL */
		} store;
		struct {
			uint64_t request;
			struct text name;
		} look;
		struct {
			uint64_t client;
			bool is_good;
			bool is_queued;
			bool is_said;     /* text is a sentence */
			struct text text; /* the run's name, or why not */
		} reply;
		struct {
			int code;
		} exit;
	};
};

struct rules_actions {
	struct rules_action list[RULES_ACTIONS_MAX];
	uint32_t count;
};

/* rules is zeroed memory: the places of runs that were never used are not even touched. */
void rules_init(struct rules *rules);
/* A command of the host's own, before EVENT_START. False when there are too many. */
bool rules_add_host_op(struct rules *rules, struct text name);
/* Takes one event; the actions are to be performed in order, before the next step. */
void rules_step(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions);
/* When it wants EVENT_DUE. */
struct mono rules_due(const struct rules *rules);

/* The run that goes on or is being started or settled, or RULES_NO_RUN. */
uint32_t rules_busy_run(const struct rules *rules);
/* PAUSE_FOR_EVER where no end is set or it is not paused. */
uint64_t rules_pause_left_ms(const struct rules *rules);
/* Whether the record's end says something of the host: of those the newest of each command is
 * found at a start and told to each new worker. */
bool rules_is_history(const struct record *record);
/* A run that ended and whose runner is still there, because something of its tree is; or
 * RULES_NO_RUN. Until it is gone nothing else starts. */
uint32_t rules_leftover_run(const struct rules *rules);
uint32_t rules_count_queued(const struct rules *rules);
uint32_t rules_count_owed(const struct rules *rules);
/* Outcomes over which workers died: told last and without their output. */
uint32_t rules_count_poison(const struct rules *rules);
bool rules_is_poison(const struct rules_run *run);
/* queued, running, ended, delivered, undeliverable: for people. */
const char *rules_run_state_name(const struct rules_run *run);
const char *rules_gate_name(enum gate_state state);
const char *rules_worker_name(const struct rules_worker *worker);
