/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One runner without an agent: its plan, its record and its output file in a folder of its own,
 * with stubs that stand first in PATH. What it started bears a mark and is ended, by pid, in
 * lone_runner_close().
 */
#pragma once

#include <sys/types.h>

#include "proto/output.h"
#include "proto/plan.h"
#include "proto/record.h"
#include "proto/report.h"

#define LONE_TEXT_BYTES    1024
#define LONE_VARIABLES_MAX 16

struct lone_runner {
	char folder[64];
	char run[64];
	char mark[64]; /* NAME=value in the environment of all that it starts */
	char repo[128], runs[128], ops[128];
	struct plan_command plan;            /* changed between open and start */
	char *variables[LONE_VARIABLES_MAX]; /* NAME=value besides the usual ones; lent */
	char launcher[LONE_TEXT_BYTES]; /* a program that is given the runner's path; empty: none */
	pid_t pid;
	int reports;
	struct record record; /* as it is after lone_runner_wait() */
	struct report report; /* the last one; its texts are in room */
	uint32_t report_count;
	uint8_t room[FRAME_BYTES_MAX + FRAME_HEAD_BYTES];
};

/* A folder with an empty repository folder and bin/ in PATH; host h1, user tester, protocol HTTP,
 * manager nixos, deadline 20 s, grace 1 s. */
void lone_runner_open(struct lone_runner *lone);
void lone_runner_close(struct lone_runner *lone);
/* Below the folder. */
void lone_runner_file(struct lone_runner *lone, const char *path, const char *content, int mode);
void lone_runner_stub(struct lone_runner *lone, const char *name, const char *script);
/* A shell command in the folder; its exit status. */
int lone_runner_shell(struct lone_runner *lone, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Makes the record and starts the runner; a probe has no record. */
void lone_runner_start(struct lone_runner *lone, const char *command);
/* Waits for a file below the folder; fails the test after ms. */
void lone_runner_await(struct lone_runner *lone, const char *path, uint64_t ms);
/* Waits for the result to be written, after which the runner takes no word through its FIFO. */
void lone_runner_await_end(struct lone_runner *lone, uint64_t ms);
/* A byte into its FIFO. */
void lone_runner_say(struct lone_runner *lone, char byte);
/* Waits for its end, and reads record and reports. The exit code, 1000 + signal; fails after ms. */
int lone_runner_wait(struct lone_runner *lone, uint64_t ms);
/* start and wait. */
void lone_runner_run(struct lone_runner *lone, const char *command);
/* The output of one stream (0: of all), in text. */
void lone_runner_output(struct lone_runner *lone, uint64_t stream, char *text, size_t room);
/* The progress that its record tells of, as "fetch 1/4, compare 2/4". */
void lone_runner_stages(struct lone_runner *lone, char text[LONE_TEXT_BYTES]);
/* The processes that bear the mark, by name; "" when there are none. */
uint32_t lone_runner_survivors(struct lone_runner *lone, char names[LONE_TEXT_BYTES]);
