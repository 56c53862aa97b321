/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "proto/base/log.h"
#include "worker/trace.h"

/* What one turn may say at most, with room to spare: then a turn begins only where that fits. */
#define TURN_SAYS_BYTES_MAX (3 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES))

/* In one wake-up; then the sockets are looked at again. */
#define TURNS_MAX 64

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->channel_is_ready = true;
}

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)data; /* the loop looks at everything whenever it wakes */
}

/* It may fire a little before its time by our clock: then it is simply set again. */
static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->timer_due = MONO_NEVER;
}

int shell_init(
	struct shell *shell, int channel_fd, int flight_fd, const struct repository *repository)
{
	*shell = (struct shell){.state = SHELL_SILENT,
		.flight_fd = flight_fd,
		.repository = *repository,
		.link = LINK_NONE};
	news_init(&shell->news);
	shell->leave_due = MONO_NEVER;
	shell->timer_due = MONO_NEVER;
	struct event_config *config = event_config_new();
	if (config) {
		/* Its other clock is up to a tick of the kernel behind: every second wait would end
		 * early, and be followed by another. */
		event_config_set_flag(
			config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
		shell->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!shell->base) {
		errno = ENOMEM;
		return -1;
	}
	channel_init(&shell->channel, channel_fd);
	inbox_init(&shell->inbox);
	bytes_init(&shell->body, 128 * 1024);
	follow_init(&shell->follow, "");
	shell->readable = event_new(
		shell->base, channel_fd, EV_READ | EV_PERSIST, on_readable, shell);
	shell->writable = event_new(shell->base, channel_fd, EV_WRITE, on_wake, shell);
	shell->timer = evtimer_new(shell->base, on_timer, shell);
	if (!shell->readable || !shell->writable || !shell->timer ||
		event_add(shell->readable, NULL) < 0) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

bool shell_has_room(struct shell *shell)
{
	return channel_out(&shell->channel)->size + TURN_SAYS_BYTES_MAX <= CHANNEL_QUEUE_BYTES_MAX;
}

/* The one timer: whoever wants to be woken first and could do something then. */
static struct mono wanted(struct shell *shell)
{
	struct mono due = mono_earlier(shell->leave_due, shell->follow.due);
	bool is_working = shell->state == SHELL_WORKING;
	bool can_hear = inbox_has_room(&shell->inbox);
	if (shell->channel_is_ready && can_hear)
		return (struct mono){0};
	if (is_working && can_hear)
		due = mono_earlier(due, repository_due(&shell->repository, shell->look != 0));
	if (is_working && shell_has_room(shell))
		due = shell->inbox.count > 0 ? (struct mono){0}
					     : mono_earlier(due, agent_due(&shell->agent));
	if (!is_working || !can_hear)
		return due;
	if (shell->http)
		due = mono_earlier(due, http_due(shell->http));
	if (shell->websocket) {
		due = mono_earlier(due, websocket_due(shell->websocket));
		due = mono_earlier(due, streamer_due(&shell->streamer, shell->websocket));
	}
	return due;
}

/* Bytes that cannot be taken now would wake the loop again and again. */
static void listen_where_room(struct shell *shell)
{
	bool can_hear = inbox_has_room(&shell->inbox);
	if (can_hear)
		event_add(shell->readable, NULL);
	else
		event_del(shell->readable);
	if (shell->websocket)
		websocket_listen(shell->websocket, can_hear && shell->state == SHELL_WORKING);
}

static void set_timer(struct shell *shell, struct mono due)
{
	if (due.ns == shell->timer_due.ns)
		return;
	shell->timer_due = due;
	if (due.ns == MONO_NEVER.ns) {
		evtimer_del(shell->timer);
		return;
	}
	uint64_t wait_ms = mono_ms_until(mono_now(), due);
	struct timeval wait = {(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000)};
	evtimer_add(shell->timer, &wait);
}

/* The only wait in this program. */
static void wait_for_something(struct shell *shell)
{
	struct mono due = wanted(shell);
	bool is_due = mono_reached(mono_now(), due);
	listen_where_room(shell);
	if (channel_is_sending(&shell->channel))
		event_add(shell->writable, NULL);
	if (is_due) {
		/* Alone, NONBLOCK returns only once nothing is ready: never, while the channel
		 * is, which is read out here and not in the callback. */
		event_base_loop(shell->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	} else {
		set_timer(shell, due);
		event_base_loop(shell->base, EVLOOP_ONCE);
	}
	shell->now = mono_now();
}

/* Each try again goes through connecting: not worth a line. */
static void log_link(struct shell *shell)
{
	struct message pong = news_pong(&shell->agent, shell->now, shell->ping);
	enum link link = (enum link)pong.pong.link;
	if (link == shell->link || link == LINK_CONNECTING)
		return;
	shell->link = link;
	if (link == LINK_UP)
		log_info("link %s: registered with the dashboard", link_name(link));
	else if (pong.pong.retry_ms == UINT64_MAX)
		log_warn("link %s: %.*s", link_name(link), TEXT_ARGS(pong.pong.detail));
	else
		log_warn("link %s: %.*s; next try in %" PRIu64 " s", link_name(link),
			TEXT_ARGS(pong.pong.detail), (pong.pong.retry_ms + 999) / 1000);
}

static void tell_link(struct shell *shell)
{
	if (!news_is(&shell->news, &shell->agent))
		return;
	shell_pong(shell);
	log_link(shell);
}

static void log_turn(const struct shell *shell, const struct agent_event *event)
{
	struct bytes line;
	if (!shell->is_verbose)
		return;
	bytes_init(&line, TRACE_BYTES_MAX);
	trace_event(event, &line);
	bytes_append_text(&line, " -> ");
	trace_actions(&shell->actions, &line);
	log_debug("%.*s", (int)line.size, (const char *)line.data);
	bytes_finish(&line);
}

static void turn(struct shell *shell)
{
	struct agent_event event;
	struct text payload;
	inbox_take(&shell->inbox, &event, &payload);
	flight_event(&shell->flight, shell->now, wall_now(), &shell->agent, payload);
	agent_step(&shell->agent, shell->now, &event, &shell->actions);
	flight_actions(&shell->flight, &shell->actions);
	log_turn(shell, &event);
	for (uint32_t i = 0; i < shell->actions.count; i++)
		shell_perform(shell, &shell->actions.list[i]);
	tell_link(shell);
}

static void add_due(struct shell *shell)
{
	struct mono due = agent_due(&shell->agent);
	if (shell->inbox.count > 0 || !mono_reached(shell->now, due))
		return;
	inbox_add(&shell->inbox,
		&(struct agent_event){.type = EVENT_DUE, .due = {mono_ms_since(shell->now, due)}});
}

static void work(struct shell *shell)
{
	if (shell->http)
		http_work(shell->http, shell->now);
	if (shell->websocket)
		websocket_work(shell->websocket, shell->now);
	follow_work(&shell->follow, shell->now, &shell->inbox);
	if (repository_work(&shell->repository, shell->now))
		shell_pong(shell);
	if (inbox_has_room(&shell->inbox)) {
		shell_take_reply(shell);
		shell_take_look(shell);
	}
	add_due(shell);
	/* What a turn completes at once is the next turn: no look at the kernel between them. */
	for (uint32_t left = TURNS_MAX; left > 0 && shell->inbox.count > 0 && shell_has_room(shell);
		left--)
		turn(shell);
	/* After the turns: what the core wants said goes before more output. */
	if (shell->websocket) {
		streamer_work(
			&shell->streamer, shell->now, shell->base, shell->websocket, &shell->inbox);
		websocket_flush(shell->websocket);
	}
}

/* The supervisor is gone, or what it was still to be told is sent. */
static void end_where_due(struct shell *shell)
{
	bool is_gone = shell->channel.state != CHANNEL_OPEN;
	if (shell->channel.state == CHANNEL_VIOLATED) {
		log_error("the supervisor sent a damaged frame");
		shell->exit_code = 1;
	}
	if (shell->repository.state == REPOSITORY_LOST) {
		log_error("the process that looks at the repository ended");
		shell->exit_code = 1;
		is_gone = true;
	}
	if (is_gone)
		shell->state = SHELL_DONE;
	if (shell->state == SHELL_LEAVING && (!channel_is_sending(&shell->channel) ||
						     mono_reached(shell->now, shell->leave_due)))
		shell->state = SHELL_DONE;
}

int shell_run(struct shell *shell)
{
	while (shell->state != SHELL_DONE) {
		wait_for_something(shell);
		if (shell->channel_is_ready && inbox_has_room(&shell->inbox))
			shell_listen(shell);
		if (!channel_flush(&shell->channel))
			break;
		if (shell->state == SHELL_WORKING)
			work(shell);
		end_where_due(shell);
	}
	repository_end(&shell->repository);
	return shell->exit_code;
}
