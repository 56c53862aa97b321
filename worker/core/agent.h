/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The worker's decisions: what to ask the dashboard for, what to report, when to try again. Pure:
 * it has no clock, heap, log or system call; the same events in the same order give the same
 * actions. A plain struct without pointers, so that a recorder can keep a copy of it.
 *
 * Call order: agent_init; agent_step for each event, with a time that never goes back; when
 * agent_due() is reached, the event due. Texts of an event are read during the step only; texts of
 * actions are lent until the next step.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/core/action.h"
#include "worker/core/awaited.h"
#include "worker/core/compartments.h"
#include "worker/core/contact.h"
#include "worker/core/debt.h"
#include "worker/core/delivery.h"
#include "worker/core/handover.h"
#include "worker/core/login.h"
#include "worker/core/rate.h"
#include "worker/core/session.h"
#include "worker/core/sight.h"

/* What the configuration lets it do. */
struct agent_limits {
	uint64_t protocol; /* enum protocol; without a dashboard nothing is ever asked for */
	uint64_t interval_ms;
	uint64_t spread_ms;
	uint64_t seed;
	bool has_own_token;
	bool has_shared_token;
	bool paused;
};

enum agent_state {
	AGENT_WORKING, /* contact says whether the gate is open */
	AGENT_STOPPING,
	AGENT_LEFT,
};

enum request_state {
	REQUEST_NONE,
	REQUEST_LOOKING, /* for the facts it carries */
	REQUEST_PROBING, /* for those no file tells */
	REQUEST_FLYING,
};

enum request_kind {
	REQUEST_REGISTER,
	REQUEST_CLEAR, /* the end of a test's progress */
	REQUEST_STATUS,
	REQUEST_PROGRESS,
};

/* The one request that is being made: never two at a time, so that a command or a token in an
 * answer is safe before anything else is asked. */
struct request {
	enum request_state state;
	enum request_kind kind;
	enum token token;
	uint32_t debt; /* DEBT_NONE where it is about none */
	uint64_t id;
	struct mono due; /* probing: no longer than this */
};

/* The test that runs. */
struct agent_test {
	char run[RUN_NAME_BYTES_MAX + 1]; /* empty: none */
	bool is_news;                     /* its progress was not told yet */
	struct mono due;                  /* of the next, whichever test runs then */
	struct rate rate;
};

struct agent {
	struct agent_limits limits;
	enum agent_state state;
	uint64_t id; /* the last one given out */
	uint64_t steps;
	struct mono stop_due;
	struct dice dice;
	struct contact contact;
	struct login login;
	struct request request;
	struct handover handover;
	struct sight sight;
	struct agent_test test;
	struct rate reports;
	struct debts debts;
	/* Over a WebSocket; over HTTP request and test have these parts. */
	struct session session;
	struct going going;
	struct awaited awaited;
	struct feed feed;
	struct compartments compartments;
};

void agent_init(struct agent *agent, const struct agent_limits *limits);
void agent_step(struct agent *agent, struct mono now, const struct agent_event *event,
	struct actions *actions);
/* When it wants the event due; MONO_NEVER for not at all. */
struct mono agent_due(const struct agent *agent);
enum link agent_link(const struct agent *agent);
