/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The runs whose outcome this dashboard is owed, and how far each one's telling is. A finished test
 * is told in three requests: a registration that saves a queued command, the end of its progress,
 * then the status. Owed ends only with delivered or undeliverable, and leaves with marked.
 */
#pragma once

#include "proto/base/time.h"
#include "proto/terms.h"
#include "worker/core/dice.h"
#include "worker/core/event.h"

#define DEBT_NONE UINT32_MAX

enum debt_state {
	DEBT_FREE,
	DEBT_REGISTER, /* a test: a registration comes first */
	DEBT_CLEAR,    /* then the end of its progress */
	DEBT_TELL,     /* then the status */
	DEBT_SENT,     /* over a WebSocket: it is on its way, and a pong will prove it */
	DEBT_TOLD,     /* delivered was said */
	DEBT_GIVEN_UP, /* undeliverable was said */
};

struct debt {
	enum debt_state state;
	uint64_t order;
	uint64_t outcome;
	int64_t code;
	bool at_once;      /* its progress was just ended: the status is next */
	bool minimal;      /* the whole report was rejected */
	uint32_t faults;   /* answers with 5xx, in this state */
	uint32_t silences; /* requests without an answer */
	struct mono due;
	/* Over a WebSocket. */
	uint64_t sent;          /* the dashboard has its output up to there */
	uint64_t barrier;       /* the pong that proves the status */
	bool is_streamed;       /* no output is waited for any more */
	struct mono stream_due; /* nor is it after this; 0: it is not being sent yet */
	bool wants_facts;       /* the host's facts are being read anew */
	bool wants_lock;        /* the age of the lock file comes first */
	struct mono lock_due;   /* and is waited for until then */
	bool was_unseen;        /* the connection was down before it was told */
	char run[RUN_NAME_BYTES_MAX + 1];
	char command[COMMAND_BYTES_MAX + 1];
	char reason[REASON_BYTES_MAX + 1]; /* given up: why */
	char summary[SHORT_TEXT_BYTES_MAX + 1];
};

struct debts {
	uint64_t order;
	struct debt list[AGENT_RUNS_MAX];
};

enum debt_verdict {
	DEBT_GOES_ON,
	DEBT_IS_OVER, /* given up: say so */
};

/* The one of that name, or NULL. */
struct debt *debt_find(struct debts *debts, struct text run);
/* A new one; NULL where there is no room. */
struct debt *debt_add(struct debts *debts, const struct agent_event_ended *ended);
void debt_remove(struct debt *debt);
/* The oldest in that state that is due first, or DEBT_NONE. at_once: only one whose turn it is. */
uint32_t debt_next(const struct debts *debts, struct mono now, enum debt_state state, bool at_once);

/* A registration was accepted: the oldest test that waited for one goes on. */
void debt_registered(struct debts *debts);
/* Its progress was ended, or cannot be. */
void debt_cleared(struct debt *debt);
void debt_told(struct debt *debt);
/* 5xx: the report may be stored all the same. */
enum debt_verdict debt_fault(struct debt *debt, struct mono now, struct text reason);
/* 4xx: it objects to the report. Less of it is told at once. */
enum debt_verdict debt_rejected(struct debt *debt, struct text reason);
/* No answer at all, or not now. */
void debt_silence(struct debt *debt, struct mono now, uint64_t wait_ms, struct dice *dice);
