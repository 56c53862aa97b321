/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/control_server.h"
#include "supervisor/folder.h"
#include "supervisor/host_ops.h"
#include "supervisor/kept.h"
#include "supervisor/platform.h"
#include "supervisor/status.h"

/* Several routes come at once; the worker is told about the lot, and again of what came after. */
#define ROUTE_PAUSE_MS 200

struct rules_event shell_event(enum rules_event_type type)
{
	return (struct rules_event){.type = type, .now = mono_now(), .wall = wall_now()};
}

struct rules_event *shell_post(struct shell *shell, enum rules_event_type type, const char *text)
{
	/* Each turn performs a bounded number of actions, each of which posts one event at most. */
	check(shell->inbox_count < SHELL_INBOX_MAX);
	struct shell_posted *posted = &shell->inbox[shell->inbox_count++];
	*posted = (struct shell_posted){.event = shell_event(type)};
	snprintf(posted->text, sizeof(posted->text), "%s", text ? text : "");
	return &posted->event;
}

/* ---- performing ---- */

static void perform_send(struct shell *shell, const struct rules_action *action)
{
	worker_perform_send(shell, &action->send);
}

static void perform_store(struct shell *shell, const struct rules_action *action)
{
	store_perform(shell, action->store.act, action->run, action->store.byte);
}

static void perform_runner_start(struct shell *shell, const struct rules_action *action)
{
	runner_perform_start(shell, action->run);
}

static void perform_runner_kill(struct shell *shell, const struct rules_action *action)
{
	runner_perform_kill(shell, action->run);
}

static void perform_watch(struct shell *shell, const struct rules_action *action)
{
	runner_perform_watch(shell, action->run);
}

static void perform_look(struct shell *shell, const struct rules_action *action)
{
	look_perform(shell, action->look.request, action->look.name);
}

static void perform_act(struct shell *shell, const struct rules_action *action)
{
	action_perform(shell, action->run);
}

static void perform_reply(struct shell *shell, const struct rules_action *action)
{
	if (action->reply.is_said)
		control_reply_said(shell->control, action->reply.client, action->reply.is_good,
			action->reply.text);
	else
		control_reply(shell->control, action->reply.client, action->reply.is_good,
			action->reply.is_queued, action->reply.text);
}

static void perform_exit(struct shell *shell, const struct rules_action *action)
{
	shell->exit_code = action->exit.code;
	shell->is_done = true;
}

static void perform_probe(struct shell *shell, const struct rules_action *action)
{
	(void)action;
	probe_perform(shell);
}

static void perform_worker_start(struct shell *shell, const struct rules_action *action)
{
	(void)action;
	worker_perform_start(shell);
}

static void perform_worker_kill(struct shell *shell, const struct rules_action *action)
{
	(void)action;
	worker_perform_kill(shell);
}

static void (*const performers[])(struct shell *shell, const struct rules_action *action) = {
	[ACTION_PROBE] = perform_probe,
	[ACTION_WORKER_START] = perform_worker_start,
	[ACTION_WORKER_KILL] = perform_worker_kill,
	[ACTION_SEND] = perform_send,
	[ACTION_STORE] = perform_store,
	[ACTION_RUNNER_START] = perform_runner_start,
	[ACTION_RUNNER_KILL] = perform_runner_kill,
	[ACTION_WATCH] = perform_watch,
	[ACTION_LOOK] = perform_look,
	[ACTION_ACT] = perform_act,
	[ACTION_REPLY] = perform_reply,
	[ACTION_EXIT] = perform_exit,
};

/* A line for what people look for; false: this is not among it. */
static bool log_run(const struct rules_run *run, const struct rules_action *action)
{
	if (action->type == ACTION_STORE && action->store.act == ACT_ACCEPT)
		log_info("%s: %s asks for it%s%s", run->name, origin_name(run->origin),
			run->reason[0] ? ", refused: " : "", run->reason);
	else if (action->type == ACTION_ACT)
		log_info("%s: acts", run->name);
	else if (action->type == ACTION_RUNNER_START)
		log_info("%s: starts", run->name);
	else
		return false;
	return true;
}

/* What people want to find in the log at info; everything is there at debug. */
static void log_turn(const struct shell *shell, const struct rules_event *event,
	enum gate_state gate, enum worker_state worker)
{
	const struct rules *rules = &shell->rules;
	log_debug(
		"%s -> %u actions", rules_event_name(event->type), (unsigned)shell->actions.count);
	if (gate != rules->gate.state && rules->gate.state == GATE_FORCED)
		log_warn("the network gate is opened anyway after %d s: %s",
			GATE_OPEN_ANYWAY_MS / 1000, rules->gate.reason);
	else if (gate != rules->gate.state)
		log_info("the network gate is %s", rules_gate_name(rules->gate.state));
	if (worker != rules->worker.state && rules->worker.state == WORKER_DEGRADED)
		log_warn("the worker answers late");
	for (uint32_t i = 0; i < shell->actions.count; i++) {
		const struct rules_action *action = &shell->actions.list[i];
		if (action->run == RULES_NO_RUN || !log_run(&rules->runs[action->run], action))
			log_debug("  %s", rules_action_name(action->type));
	}
}

static void log_result(const struct shell *shell, const struct rules_event *event)
{
	char how[OUTCOME_TEXT_BYTES];
	if (event->type != EVENT_RUNNER_REPORTED_RESULT)
		return;
	outcome_text(event->result.outcome, event->result.code, how);
	log_info("%s: %s%s%.*s", shell->rules.runs[event->result.run].name, how,
		event->result.reason.size ? ": " : "", TEXT_ARGS(event->result.reason));
}

static void log_action(const struct rules *rules, const struct rules_event *event, bool is_first)
{
	if ((event->type == EVENT_ACTED || is_first) && rules->leave.trouble[0])
		log_error("%s", rules->leave.trouble);
}

static void turn_one(struct shell *shell, const struct rules_event *event)
{
	enum gate_state gate = shell->rules.gate.state;
	enum worker_state worker = shell->rules.worker.state;
	bool was_scanned = shell->rules.is_scanned;
	struct rules_event dated = *event;
	/* Clocks of events that waited in the inbox are older than the last step's. */
	if (dated.now.ns < shell->rules.now.ns)
		dated.now = shell->rules.now;
	shell->actions.count = 0;
	rules_step(&shell->rules, &dated, &shell->actions);
	log_result(shell, &dated);
	log_action(&shell->rules, &dated, !was_scanned && shell->rules.is_scanned);
	log_turn(shell, &dated, gate, worker);
	for (uint32_t i = 0; i < shell->actions.count; i++) {
		const struct rules_action action = shell->actions.list[i];
		performers[action.type](shell, &action);
	}
}

/* The texts of a posted event stand beside it. */
static void lend_text(struct shell_posted *posted)
{
	struct text text = text_of(posted->text);
	switch (posted->event.type) {
	case EVENT_PROBED: posted->event.probed.reason = text; break;
	case EVENT_WORKER_EXITED: posted->event.worker_exited.why = text; break;
	case EVENT_WORKER_VIOLATED: posted->event.worker_violated.why = text; break;
	case EVENT_RUNNER_EXITED: posted->event.runner_exited.why = text; break;
	case EVENT_ACTED: posted->event.acted.reason = text; break;
	case EVENT_LOOK_ENDED: posted->event.look_ended.name = text; break;
	case EVENT_START:
	case EVENT_DUE:
	case EVENT_NETWORK:
	case EVENT_AWAY:
	case EVENT_WORKER_STARTED:
	case EVENT_WORKER_SAID:
	case EVENT_STORED:
	case EVENT_FOUND:
	case EVENT_RUNNER_STARTED:
	case EVENT_RUNNER_REPORTED_START:
	case EVENT_RUNNER_REPORTED_RESULT:
	case EVENT_ASKED_RUN:
	case EVENT_ASKED_CANCEL:
	case EVENT_RELOADED:
	case EVENT_KICKED:
	case EVENT_ASKED_PAUSE:
	case EVENT_STOP: break;
	}
}

static void take_posted(struct shell *shell)
{
	struct shell_posted posted = shell->inbox[0];
	shell->inbox_count--;
	memmove(&shell->inbox[0], &shell->inbox[1], sizeof(shell->inbox[0]) * shell->inbox_count);
	lend_text(&posted);
	turn_one(shell, &posted.event);
}

void shell_tell_manager(struct shell *shell)
{
	const char *why;
	status_health(shell, &why);
	if (strcmp(why, shell->status_text) == 0)
		return;
	snprintf(shell->status_text, sizeof(shell->status_text), "%s", why);
	notify_send(&shell->notify, "STATUS=%s", why);
}

static void take_all_posted(struct shell *shell)
{
	while (shell->inbox_count > 0)
		take_posted(shell);
	shell_tell_manager(shell);
	shell_set_timer(shell);
}

void shell_turn(struct shell *shell, const struct rules_event *event)
{
	turn_one(shell, event);
	take_all_posted(shell);
}

/* ---- the loop's callbacks ---- */

static struct mono next_due(struct shell *shell, struct mono now)
{
	struct mono next = mono_earlier(rules_due(&shell->rules), children_due(shell, now));
	next = mono_earlier(next, control_due(shell->control, now));
	next = mono_earlier(next, reload_due(shell, now));
	next = mono_earlier(next, shell->route_due);
	return mono_earlier(next, shell->watchdog_next);
}

void shell_set_timer(struct shell *shell)
{
	struct mono now = mono_now();
	struct mono due = next_due(shell, now);
	shell->timer_due = due;
	if (due.ns == MONO_NEVER.ns) {
		event_del(shell->timer);
		return;
	}
	uint64_t ms = mono_ms_until(now, due);
	struct timeval wait = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	event_add(shell->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->wakes.is_timer = true;
}

static void on_route(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->wakes.is_route = true;
}

static void on_child(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->wakes.is_child = true;
}

static void on_stop(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)what;
	shell->wakes.stop = (int)fd;
}

static void on_reload(evutil_socket_t fd, short what, void *data)
{
	struct shell *shell = data;
	(void)fd;
	(void)what;
	shell->wakes.is_reload = true;
}

/* ---- the work after the wait ---- */

/* Before anything else: what is late by our own absence must not be taken for somebody's. */
static void notice_absence(struct shell *shell)
{
	uint64_t late_ms = mono_ms_since(mono_now(), shell->timer_due);
	if (late_ms <= SUPERVISOR_AWAY_MS)
		return;
	struct rules_event away = shell_event(EVENT_AWAY);
	log_warn("this process was not scheduled for %llu ms", (unsigned long long)late_ms);
	reload_away(shell);
	shell_turn(shell, &away);
}

static void tell_route(struct shell *shell)
{
	struct rules_event event = shell_event(EVENT_NETWORK);
	shell->route_due = MONO_NEVER;
	shell->route_told = event.now;
	shell_turn(shell, &event);
}

static void work_timer(struct shell *shell)
{
	struct mono now = mono_now();
	if (mono_reached(now, shell->watchdog_next)) {
		notify_send(&shell->notify, "WATCHDOG=1");
		shell->watchdog_next = mono_after(now, shell->notify.watchdog_ms);
	}
	if (mono_reached(now, shell->route_due))
		tell_route(shell);
	if (mono_reached(now, rules_due(&shell->rules))) {
		struct rules_event due = shell_event(EVENT_DUE);
		shell_turn(shell, &due);
	}
	shell_set_timer(shell);
}

/* What comes within the pause waits for its end: an address is often first, and its route, without
 * which it is no use, comes a moment later. */
static void work_route(struct shell *shell)
{
	if (!platform_route_read(event_get_fd(shell->routes)))
		return;
	shell->route_due = mono_after(shell->route_told, ROUTE_PAUSE_MS);
	if (mono_reached(mono_now(), shell->route_due))
		tell_route(shell);
	else
		shell_set_timer(shell);
}

static void work_stop(struct shell *shell, int number)
{
	struct rules_event event = shell_event(EVENT_STOP);
	log_info("stopping: signal %d", number);
	notify_send(&shell->notify, "STOPPING=1");
	shell_turn(shell, &event);
}

static void work(struct shell *shell)
{
	struct shell_wakes wakes = shell->wakes;
	shell->wakes = (struct shell_wakes){0};
	notice_absence(shell);
	children_work(shell);
	if (wakes.is_child && !children_reap(shell))
		shell->wakes.is_child = true;
	control_work(shell->control);
	if (wakes.is_route)
		work_route(shell);
	if (wakes.is_reload)
		reload_begin(shell, 0);
	if (wakes.stop)
		work_stop(shell, wakes.stop);
	if (wakes.is_timer)
		work_timer(shell);
	if (shell->inbox_count > 0)
		take_all_posted(shell);
}

/* ---- starting and ending ---- */

static void read_token(struct shell *shell)
{
	char token[TOKEN_BYTES_MAX + 1];
	ssize_t size = fd_read_file(AT_FDCWD, shell->config.token_cache, token, sizeof(token) - 1);
	if (size < 0) {
		if (errno != ENOENT)
			log_warn("%s cannot be read: %s", shell->config.token_cache,
				strerror(errno));
		return;
	}
	token[size] = '\0';
	token[strcspn(token, "\r\n")] = '\0';
	for (const char *at = token; *at; at++) {
		if (*at <= 0x20 || *at >= 0x7f) {
			log_warn("%s holds no token and is left alone", shell->config.token_cache);
			return;
		}
	}
	memcpy(shell->own_token, token, strlen(token) + 1);
}

static int open_folders(struct shell *shell)
{
	if (mkdirat(shell->lock->folder, "runs", 0700) < 0 && errno != EEXIST) {
		log_error("mkdir %s/runs: %s", shell->config.state_dir, strerror(errno));
		return -1;
	}
	shell->state_folder = openat(shell->lock->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	shell->runs_folder = openat(
		shell->lock->folder, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (shell->runs_folder < 0 || shell->state_folder < 0) {
		log_error("open %s/runs: %s", shell->config.state_dir, strerror(errno));
		return -1;
	}
	return 0;
}

static struct event *add_signal(struct shell *shell, int number, event_callback_fn callback)
{
	struct event *event = evsignal_new(shell->base, number, callback, shell);
	check(event != NULL);
	event_add(event, NULL);
	return event;
}

static int open_loop(struct shell *shell)
{
	struct event_config *config = event_config_new();
	check(config != NULL);
	/* One read of the clock a wake is ours to make. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
	shell->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!shell->base) {
		log_error("event_base_new: %s", strerror(errno));
		return -1;
	}
	signal(SIGPIPE, SIG_IGN);
	shell->signals[0] = add_signal(shell, SIGCHLD, on_child);
	shell->signals[1] = add_signal(shell, SIGTERM, on_stop);
	shell->signals[2] = add_signal(shell, SIGINT, on_stop);
	shell->signals[3] = add_signal(shell, SIGHUP, on_reload);
	shell->timer = evtimer_new(shell->base, on_timer, shell);
	check(shell->timer != NULL);
	int routes = platform_route_open();
	if (routes >= 0) {
		shell->routes = event_new(
			shell->base, routes, EV_READ | EV_PERSIST, on_route, shell);
		check(shell->routes != NULL);
		event_add(shell->routes, NULL);
	}
	return 0;
}

static void close_loop(struct shell *shell)
{
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind != CHILD_FREE)
			child_remove(&shell->children[i]);
	}
	for (size_t i = 0; i < sizeof(shell->signals) / sizeof(shell->signals[0]); i++)
		event_free(shell->signals[i]);
	if (shell->routes) {
		close(event_get_fd(shell->routes));
		event_free(shell->routes);
	}
	event_free(shell->timer);
	event_base_free(shell->base);
	fd_drop(&shell->runs_folder);
	fd_drop(&shell->state_folder);
	fd_drop(&shell->flight);
}

static void begin(struct shell *shell)
{
	struct rules_event event = shell_event(EVENT_START);
	char reason[SHORT_TEXT_BYTES_MAX + 1] = "";
	uint64_t seed = 0;
	if (!platform_random(&seed, sizeof(seed)))
		seed = mono_now().ns ^ (uint64_t)getpid() << 32;
	rules_init(&shell->rules);
	host_ops_read(shell);
	shell->isolation = isolation_find();
	event.start.seed = seed;
	event.start.protocol = shell->config.protocol;
	event.start.token = text_of(shell->own_token);
	kept_read(shell->state_folder, &event.start.pause, reason);
	event.start.restart_code = platform_restart_code();
	shell->started = event.now;
	shell->watchdog_next = shell->notify.watchdog_ms ? event.now : MONO_NEVER;
	shell->route_due = shell->reload.due = MONO_NEVER;
	notify_send(&shell->notify, "READY=1");
	shell_turn(shell, &event);
}

int shell_run(struct shell *shell)
{
	const char *call = NULL;
	shell->runs_folder = shell->state_folder = -1;
	if (open_folders(shell) < 0 || open_loop(shell) < 0)
		return -1;
	read_token(shell);
	shell->flight = platform_memory_file("nixfleet-flight", FLIGHT_BYTES);
	if (platform_become_subreaper() < 0)
		log_debug("no subreaper: %s", strerror(errno));
	shell->control = control_create(shell, &call);
	if (!shell->control) {
		log_error("%s/control.sock: %s: %s", shell->config.runtime_dir, call,
			strerror(errno));
		return -1;
	}
	notify_open(&shell->notify);
	begin(shell);
	while (!shell->is_done) {
		/* The one wait. Children that are not reaped yet wait for the next look. */
		event_base_loop(shell->base,
			shell->wakes.is_child ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
		work(shell);
	}
	control_destroy(shell->control);
	close_loop(shell);
	notify_close(&shell->notify);
	return shell->exit_code;
}
