/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The named maxima and waits of the worker's decisions. Times are milliseconds unless the name says
 * otherwise.
 */
#pragma once

#include "proto/base/limits.h"

/* Owed runs in the core: the window of the supervisor, and room for what just ended. */
#define AGENT_RUNS_MAX     12
#define AGENT_COMMANDS_MAX 8
#define AGENT_ACTIONS_MAX  32
/* Then a command is refused without a record. Fewer than are told at a time: others wait, too. */
#define REFUSED_WAIT_MAX (RUNS_OWED_TOLD_MAX / 2)
#define AGENT_MARKS_MAX  256 /* tests whose results are told one by one */
#define COMMIT_BYTES_MAX 64

/* The dashboard allows 30 status reports and 60 progress reports a minute and host. */
#define RATE_WINDOW_MS      60000
#define RATE_EVENTS_MAX     45
#define REPORTS_MINUTE_MAX  20
#define PROGRESS_MINUTE_MAX 45
#define PROGRESS_GAP_MS     1000
#define PROGRESS_PAUSE_MS   10000 /* after one that failed */

/* After a request that failed. */
#define RETRY_MIN_MS         100
#define RETRY_STEP_MS        1000
#define RETRY_MAX_MS         30000
#define RETRY_DOUBLINGS_MAX  16
#define REFUSED_RETRY_MIN_MS 5000
#define REFUSED_RETRY_MAX_MS 300000
#define REJECTED_RETRY_MS    60000
#define RETRY_AFTER_MIN_MS   2000
#define RETRY_AFTER_MAX_MS   900000
#define NETWORK_GAP_MS       1000 /* however often the network changes: one try a second */

/* A report the dashboard answers with 5xx may be stored already: few tries, slowly. */
#define REPORT_FAULT_TRIES    5
#define REPORT_FAULT_WAIT_MS  90000 /* then 4.5, 13.5 and 40.5 minutes: an hour in all */
#define REPORT_SILENCE_MS     1000
#define REPORT_SILENCE_MAX_MS 300000
#define CLEAR_FAULT_TRIES     3

/* What the supervisor is asked. */
#define PROBE_WAIT_MS       5000  /* a registration waits this long for the commit */
#define PROBE_FRESH_MS      30000 /* a probed commit is good for this long */
#define PROBE_LOST_MS       120000
#define CLONE_AGAIN_MS      60000 /* after one that failed, doubling */
#define CLONE_AGAIN_MAX_MS  3600000
#define TOKEN_KEPT_WAIT_MS  30000
#define TOKEN_KEEP_AGAIN_MS 60000

/* WebSocket. The dashboard closes after 60 s without traffic and pings every 54 s. */
#define SESSION_REGISTER_MS    10000
#define SESSION_PING_EVERY_MS  10000
#define SESSION_PING_STREAM_MS 1000 /* after output was sent: what it has must be known */
#define SESSION_SILENT_MS      45000
#define SESSION_DOUBT_MS       5000 /* after the network changed */
#define SESSION_EVICTED_MIN_MS 5000
#define SESSION_EVICTED_MAX_MS 300000
#define SESSION_SETTLED_MS     600000 /* up for so long: earlier evictions are forgotten */
#define STREAM_DRAIN_MS        2000   /* a status waits for its output */
#define STREAM_DRAIN_STOP_MS   50     /* who stops a flood wants to see its end, not all of it */
#define NAME_WAIT_MS           5000   /* a rejection waits to name the command that starts */
#define LOCK_LOOK_EVERY_MS     300000
#define LOCK_FRESH_S           (7 * 24 * 3600) /* a lock file is up to date for so long */

static_assert(SESSION_PING_EVERY_MS < SESSION_SILENT_MS, "a pong can come in time");
static_assert(AGENT_RUNS_MAX > RUNS_OWED_TOLD_MAX, "the supervisor's window fits");
static_assert(REPORTS_MINUTE_MAX <= RATE_EVENTS_MAX, "a window of reports fits");
static_assert(PROGRESS_MINUTE_MAX <= RATE_EVENTS_MAX, "a window of progress fits");
static_assert(RETRY_MIN_MS < RETRY_STEP_MS && RETRY_STEP_MS < RETRY_MAX_MS, "retries grow");
