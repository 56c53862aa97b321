/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Store children seen from the supervisor: forked, listened to, given up after STORE_KILL_MS. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/platform.h"
#include "supervisor/shell.h"
#include "supervisor/store_child.h"

static void post_failed(struct shell *shell, enum rules_act act, uint32_t run, int error)
{
	struct rules_event *event = shell_post(shell, EVENT_STORED, NULL);
	if (!event)
		return;
	event->stored.act = act;
	event->stored.run = run;
	event->stored.error = error;
}

_Noreturn static void store_child(struct store_job *job, struct lock *lock)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the agent; the act is finished */
	signal(SIGHUP, SIG_IGN);
	lock_forget(lock);
	store_child_keep_only(job);
	store_child_run(job);
	_exit(0);
}

/* Who the supervisor started itself: all other children of its were handed to it. */
static uint32_t list_known(const struct shell *shell, pid_t known[SHELL_CHILDREN_MAX])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind != CHILD_FREE && shell->children[i].pid > 1)
			known[count++] = shell->children[i].pid;
	}
	return count;
}

void store_perform(struct shell *shell, enum rules_act act, uint32_t run, uint8_t byte)
{
	int ends[2];
	if (child_count(shell, CHILD_STORE) >= STORE_CHILDREN_MAX || child_socketpair(ends) < 0) {
		post_failed(shell, act, run, EAGAIN);
		return;
	}
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		pid_t known[SHELL_CHILDREN_MAX];
		struct store_job job = {.act = act,
			.known = known,
			.known_count = list_known(shell, known),
			.run = run == RULES_NO_RUN ? NULL : &shell->rules.runs[run],
			.dashboard = run == RULES_NO_RUN
					     ? NULL
					     : worker_dashboard(
						       shell, shell->rules.runs[run].worker_epoch),
			.byte = byte,
			.parent = parent,
			.is_scanned = shell->rules.is_scanned,
			.config = &shell->config,
			.token = shell->rules.token.text,
			.pause = &shell->rules.pause,
			.pause_left_ms = rules_pause_left_ms(&shell->rules),
			.runs = shell->runs_folder,
			.state = shell->state_folder,
			.flight = shell->flight,
			.out = ends[1]};
		fcntl(ends[1], F_SETFL, 0); /* the child may wait for us to read */
		store_child(&job, shell->lock);
	}
	int failed = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		log_warn("cannot %s: fork: %s", rules_act_name(act), strerror(failed));
		post_failed(shell, act, run, failed);
		return;
	}
	struct child *child = child_add(shell, CHILD_STORE, pid, ends[0]);
	child->act = act;
	child->run = run;
	child->kill_after_ms = STORE_KILL_MS;
}

static void note_trouble(struct child *child, int error, struct text call)
{
	struct shell *shell = child->shell;
	char text[REASON_BYTES_MAX + 1];
	if (child->act == ACT_CANCEL) /* a runner that is already gone */
		return;
	if (error == 0) {
		if (shell->store_trouble[0])
			log_info("the disk works again: %s", rules_act_name(child->act));
		shell->store_trouble[0] = '\0';
		return;
	}
	snprintf(text, sizeof(text), "cannot %s: %.*s: %s", rules_act_name(child->act),
		TEXT_ARGS(call), strerror(error));
	if (strcmp(text, shell->store_trouble) != 0)
		log_error("%s; it is tried again", text);
	memcpy(shell->store_trouble, text, sizeof(text));
}

static void take_found(struct child *child, const struct stored_found *found)
{
	struct record record;
	struct rules_event event;
	stored_to_record(found, &record);
	if (child->act == ACT_SETTLE || child->act == ACT_END) {
		event = shell_event(EVENT_STORED);
		event.stored.act = child->act;
		event.stored.run = child->run;
		event.stored.record = &record;
		event.stored.is_live = found->live;
		child->is_answered = true;
	} else {
		event = shell_event(EVENT_FOUND);
		event.found.name = found->run;
		event.found.record = &record;
		event.found.is_live = found->live;
		event.found.is_owed = found->owed;
		event.found.is_this_boot = found->this_boot;
		event.found.sent = found->sent;
	}
	shell_turn(child->shell, &event);
}

static void take_done(struct child *child, const struct stored_done *done)
{
	struct rules_event event = shell_event(EVENT_STORED);
	note_trouble(child, (int)done->error, done->call);
	if (child->is_answered)
		return;
	child->is_answered = true;
	event.stored.act = child->act;
	event.stored.run = child->run;
	event.stored.error = (int)done->error;
	/* Without the record there is nothing to settle by. */
	if (done->error == 0 && (child->act == ACT_SETTLE || child->act == ACT_END))
		event.stored.error = EPROTO;
	event.stored.sequence = done->sequence;
	event.stored.is_more = done->more;
	event.stored.is_unsettled = done->again;
	shell_turn(child->shell, &event);
}

void store_readable(struct child *child)
{
	struct text payload;
	struct stored stored;
	bool more = channel_receive(&child->channel);
	while (channel_next(&child->channel, &payload)) {
		if (stored_decode(payload, &stored) != SCHEMA_GOOD)
			continue;
		switch (stored.type) {
		case STORED_FOUND: take_found(child, &stored.found); break;
		case STORED_DONE: take_done(child, &stored.done); break;
		}
	}
	if (!more)
		event_del(child->readable);
}

void store_exited(struct child *child, int status)
{
	char how[32];
	struct rules_event event = shell_event(EVENT_STORED);
	if (child->is_answered)
		return;
	exit_text(status, how);
	note_trouble(child, ETIMEDOUT, text_of(how));
	event.stored.act = child->act;
	event.stored.run = child->run;
	event.stored.error = ETIMEDOUT;
	shell_turn(child->shell, &event);
}
