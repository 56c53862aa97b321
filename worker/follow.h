/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Watches the record of the run that goes on, and says what is new in it. The kernel says when the
 * file changed; a look every RECORD_LOOK_MS besides, because not every file system tells.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/inbox.h"
#include "worker/platform.h"

struct event_base;
struct event;

struct follow {
	const char *runs_dir; /* borrowed */
	struct platform_watch watch;
	struct event *event; /* NULL where nothing is watched */
	bool is_ready;
	struct mono due; /* MONO_NEVER: nothing is followed */
	uint64_t current;
	uint64_t total;
	uint64_t passed;
	char stage[SHORT_TEXT_BYTES_MAX + 1];
	char run[RUN_NAME_BYTES_MAX + 1];
};

void follow_init(struct follow *follow, const char *runs_dir);
/* In place of what was followed before. */
void follow_start(struct follow *follow, struct event_base *base, struct text run, struct mono now);
void follow_stop(struct follow *follow);
/* Looks when it is time; adds the event where the record says something new. */
void follow_work(struct follow *follow, struct mono now, struct inbox *inbox);
