/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/follow.h"

#include <string.h>

#include <event2/event.h>

#include "worker/run_file.h"

void follow_init(struct follow *follow, const char *runs_dir)
{
	*follow = (struct follow){.runs_dir = runs_dir, .watch = {-1, -1}, .due = MONO_NEVER};
}

static void on_change(evutil_socket_t fd, short what, void *data)
{
	struct follow *follow = data;
	(void)fd;
	(void)what;
	follow->is_ready = true;
}

static void watch(struct follow *follow, struct event_base *base)
{
	char path[PATH_BYTES_MAX + RUN_NAME_BYTES_MAX + 16];
	if (!run_file_path(follow->runs_dir, text_of(follow->run), ".run", path, sizeof(path)) ||
		platform_watch_open(&follow->watch, path) < 0)
		return; /* the look every RECORD_LOOK_MS finds it */
	follow->event = event_new(base, follow->watch.fd, EV_READ | EV_PERSIST, on_change, follow);
	if (follow->event)
		event_add(follow->event, NULL);
}

void follow_start(struct follow *follow, struct event_base *base, struct text run, struct mono now)
{
	follow_stop(follow);
	text_copy(run, follow->run, sizeof(follow->run));
	follow->current = follow->total = follow->passed = 0;
	follow->stage[0] = '\0';
	follow->due = now;
	watch(follow, base);
}

void follow_stop(struct follow *follow)
{
	if (follow->event)
		event_free(follow->event);
	follow->event = NULL;
	platform_watch_close(&follow->watch);
	follow->due = MONO_NEVER;
	follow->is_ready = false;
}

/* A stage that was seen in the output, else the step's own name. */
static const char *stage_of(const struct record *record)
{
	return record->stage;
}

static void tell(struct follow *follow, const struct record *record, struct inbox *inbox)
{
	if (record->progress_current == follow->current &&
		record->progress_total == follow->total &&
		record->progress_passed == follow->passed &&
		strcmp(stage_of(record), follow->stage) == 0)
		return;
	text_copy(text_of(stage_of(record)), follow->stage, sizeof(follow->stage));
	follow->current = record->progress_current;
	follow->total = record->progress_total;
	follow->passed = record->progress_passed;
	inbox_add(inbox, &(struct agent_event){.type = EVENT_PROGRESSED,
				 .progressed = {text_of(follow->run), follow->current,
					 follow->total, follow->passed, text_of(follow->stage)}});
}

void follow_work(struct follow *follow, struct mono now, struct inbox *inbox)
{
	struct record record;
	if (!follow->is_ready && !mono_reached(now, follow->due))
		return;
	if (follow->is_ready)
		platform_watch_drain(&follow->watch);
	follow->is_ready = false;
	follow->due = mono_after(now, RECORD_LOOK_MS);
	if (!inbox_has_room(inbox))
		return;
	if (run_file_record(follow->runs_dir, text_of(follow->run), &record) < 0)
		return;
	tell(follow, &record, inbox);
	if (record.state == RECORD_FINISHED)
		follow_stop(follow);
}
