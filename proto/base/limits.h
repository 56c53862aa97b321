/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Every named maximum and every wait that more than one file depends on. Times are milliseconds,
 * sizes bytes, unless the name says otherwise; relations between them are asserted here.
 */
#pragma once

#include <assert.h>

/* Text that comes from outside. */
#define URL_BYTES_MAX          2048
#define TOKEN_BYTES_MAX        3584 /* hello holds two of them */
#define HOST_BYTES_MAX         63   /* the dashboards' pattern for a host name */
#define COMMAND_BYTES_MAX      64
#define PATH_BYTES_MAX         1024
#define REASON_BYTES_MAX       400
#define SHORT_TEXT_BYTES_MAX   200 /* location, branch, versions, stage names */
#define RUN_NAME_BYTES_MAX     128 /* 20261123T170211Z-<command>-4f2a */
#define LOG_LINE_BYTES_MAX     1024
#define PROBE_OUTPUT_BYTES_MAX 4096

/* Frames between processes. */
#define FRAME_BYTES_MAX         16384 /* payload of one frame */
#define FRAME_HEAD_BYTES        8
#define FRAME_DEPTH_MAX         8
#define CHANNEL_QUEUE_BYTES_MAX (16 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES))

/* Records. */
#define RECORD_BYTES           16384 /* written in advance */
#define RECORD_RESERVE_BYTES   3072  /* kept free for result, delivered, undeliverable */
#define OUTPUT_BYTES_MAX       (128ull * 1024 * 1024)
#define OUTPUT_TAIL_BYTES      (256 * 1024)
#define OUTPUT_CHUNK_BYTES_MAX 15360
#define RUNS_KEPT_MAX          200
#define RUNS_KEPT_BYTES_MAX    (512ull * 1024 * 1024)
#define RUNS_QUEUED_MAX        8
#define RUNS_OWED_TOLD_MAX     8
/* In the supervisor's memory: live, queued and owed ones and the newest; the rest is on disk. */
#define RUNS_KNOWN_MAX 64

/* Control socket. */
#define CONTROL_CLIENTS_MAX      16
#define CONTROL_CLIENTS_USER_MAX 4
#define CONTROL_SAY_MS           2000

/* The gate. */
#define GATE_PROBE_EVERY_MS 2000
#define GATE_OPEN_ANYWAY_MS 60000
#define PROBE_CONNECT_MS    4000
#define PROBE_KILL_MS       5000

/* A look at the repository; then its disk hangs, and is not waited for. */
#define REPOSITORY_WAIT_MS 5000

/* The worker's life. */
#define WORKER_PING_EVERY_MS  10000
#define WORKER_DEGRADED_MS    15000
#define WORKER_HUNG_MS        30000
#define WORKER_SILENT_LINK_MS 600000  /* no contact though a probe succeeds */
#define WORKER_REPLACE_GAP_MS 1800000 /* for the line above, at most this often */
#define WORKER_BACKOFF_MIN_MS 1000
#define WORKER_BACKOFF_MAX_MS 60000
#define WORKER_HEALTHY_MS     300000
#define WORKER_DEATHS_MAX     5
#define WORKER_DEATHS_IN_MS   600000
#define WORKER_SAFE_MODE_MS   300000
#define WORKER_STOP_MS        5000

/* Commands. */
#define COMMAND_GRACE_MS    10000
#define TREE_EMPTY_MS       5000
#define OUTPUT_HELD_MS      2000  /* the main process ended, a child still holds stdout */
#define CLEANING_MS         10000 /* what undoes a half-done command, whatever its deadline was */
#define INTERRUPT_MS        10000 /* from SIGTERM to the runner until its tree is ended, in all: */
#define INTERRUPT_GRACE_MS  3000  /* TERM, */
#define INTERRUPT_CLEAN_MS  2000  /* and undoing */
#define RUNNER_OVERDUE_MS   20000 /* beyond deadline, grace and tree: the supervisor acts */
#define RUNNER_STARTS_MAX   3     /* of a runner that dies before it starts anything */
#define ACTIVATION_WAIT_MS  3600000 /* for a unit outside the tree, whatever the deadline was */
#define RECORD_LOOK_MS      250
#define SENT_EVERY_MS       1000
#define SENT_SAVE_MS        5000 /* on the disk */
#define ANNOUNCE_DELIVER_MS 10000
#define LEAVE_DELIVER_MS    10000
#define LEAVE_ACTED_MS      300000 /* a reboot that was asked for should have happened */
#define POISON_DEATHS       2      /* of workers over one outcome */

/* systemctl has no answer while systemd executes itself anew, as it does within activations. */
#define ACTIVATION_SILENT_MS 20000

/* A pause. */
#define PAUSE_LOOK_MS 60000  /* at the wall clock, which may pass its end unseen */
#define PAUSE_SAVE_MS 600000 /* how much is left, for a start after another boot */

/* Reading the configuration again. */
#define RELOAD_MS 5000

/* Store children. */
#define STORE_SLOW_MS      5000
#define STORE_KILL_MS      60000
#define STORE_CHILDREN_MAX 8

/* Stopping nests: worker, supervisor, service. */
#define SUPERVISOR_STOP_MS 10000
#define SERVICE_STOP_MS    60000
#define SUPERVISOR_AWAY_MS 2000 /* not scheduled for this long: graces start again once */

static_assert(PROBE_CONNECT_MS < PROBE_KILL_MS, "a probe ends by itself first");
static_assert(WORKER_PING_EVERY_MS < WORKER_DEGRADED_MS, "a ping is out before its answer is late");
static_assert(WORKER_DEGRADED_MS < WORKER_HUNG_MS, "degraded comes before hung");
static_assert(WORKER_STOP_MS < SUPERVISOR_STOP_MS, "the worker stops before its supervisor");
static_assert(SUPERVISOR_STOP_MS < SERVICE_STOP_MS, "the supervisor stops before the service");
static_assert(COMMAND_GRACE_MS + TREE_EMPTY_MS < SERVICE_STOP_MS, "a runner ends its tree in time");
static_assert(CLEANING_MS + TREE_EMPTY_MS < RUNNER_OVERDUE_MS, "a runner cleans up in time");
static_assert(INTERRUPT_GRACE_MS + TREE_EMPTY_MS + INTERRUPT_CLEAN_MS <= INTERRUPT_MS,
	"a runner that the machine's end interrupts is done in time");
static_assert(INTERRUPT_MS < SERVICE_STOP_MS, "and before the service is killed");
static_assert(RECORD_RESERVE_BYTES < RECORD_BYTES, "a record has room for its steps");
static_assert(RUNS_QUEUED_MAX + RUNS_OWED_TOLD_MAX < RUNS_KNOWN_MAX, "live runs fit in memory");
static_assert(TREE_EMPTY_MS + 2 * ACTIVATION_SILENT_MS < STORE_KILL_MS,
	"a dead runner's activation is asked about in time");
static_assert(STORE_SLOW_MS < STORE_KILL_MS, "slow is said before the end");
