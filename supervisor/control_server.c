/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/control.h"
#include "supervisor/control_server.h"
#include "supervisor/operators.h"
#include "supervisor/platform.h"
#include "supervisor/status.h"
#include "supervisor/store_child.h"

#define CONTROL_BACKLOG 32
#define CONTROL_GROUP   "nixfleet"
/* A client gets this long to take its answer; then its place is somebody else's. */
#define CONTROL_IDLE_MS 60000

struct client {
	uint64_t id; /* 0: a free place */
	struct control_server *server;
	struct channel channel;
	struct event *readable, *writable;
	uid_t user;
	bool may_change;               /* and read output */
	bool is_waiting;               /* for a reply of the rules */
	bool is_readable, is_writable; /* noted by the callbacks */
	struct mono due;               /* say something, or go */
};

struct control_server {
	struct shell *shell;
	int fd;
	char path[PATH_BYTES_MAX + 1];
	struct event *acceptable;
	bool is_acceptable; /* noted by the callback */
	struct client clients[CONTROL_CLIENTS_MAX];
	uint64_t last_id;
	struct operators operators; /* members of CONTROL_GROUP */
};

static void client_drop(struct client *client)
{
	event_free(client->readable);
	event_free(client->writable);
	channel_finish(&client->channel);
	*client = (struct client){0};
}

static void client_flush(struct client *client)
{
	if (!channel_flush(&client->channel)) {
		client_drop(client);
		return;
	}
	if (channel_is_sending(&client->channel))
		event_add(client->writable, NULL);
}

static void say(struct client *client, const struct control *control)
{
	/* The queue holds a whole status; a client that does not read loses the rest. */
	if (control_encode(control, channel_out(&client->channel)) == 0)
		return;
	log_debug("a control client does not read its answer");
	client->due = (struct mono){0};
}

static void refuse(struct client *client, const char *reason)
{
	say(client,
		&(struct control){.type = CONTROL_REFUSED, .refused = {.reason = text_of(reason)}});
}

static void done(struct client *client, struct text note)
{
	say(client, &(struct control){.type = CONTROL_DONE, .done = {.note = note}});
}

/* ---- answers ---- */

static void say_run(struct client *client, const struct rules_run *run, struct mono now)
{
	bool is_live = run->state == RUN_GOING || run->state == RUN_STARTING;
	say(client, &(struct control){.type = CONTROL_RUN,
			    .run = {
				    .run = text_of(run->name),
				    .command = text_of(run->command),
				    .state = text_of(rules_run_state_name(run)),
				    .origin = run->origin,
				    .owed = run->telling == TELLING_OWED ||
					    run->telling == TELLING_TOLD ||
					    run->telling == TELLING_MARKING,
				    .withheld = rules_is_poison(run),
				    .sequence = run->sequence,
				    .wall_ms = run->wall_ms,
				    .pid = (uint64_t)run->pid,
				    .elapsed_ms = is_live ? mono_ms_since(now, run->started) : 0,
				    .deadline_ms = run->deadline_ms,
				    .outcome = run->outcome,
				    .code = run->code,
				    .reason = text_of(run->reason),
				    .summary = text_of(run->summary),
				    .method = TEXT_NONE,
				    .left = TEXT_NONE,
			    }});
}

static void say_wait(struct client *client, const char *name, struct mono now, struct mono due)
{
	if (due.ns != MONO_NEVER.ns)
		say(client, &(struct control){.type = CONTROL_WAIT,
				    .wait = {.name = text_of(name),
					    .left_ms = mono_ms_until(now, due)}});
}

/* Which act the disk does not let go on, and since when. */
static void say_store_wait(struct client *client, const struct child *child, struct mono now)
{
	char name[SHORT_TEXT_BYTES_MAX + 1];
	uint64_t ms = mono_ms_since(now, child->started);
	bool has_run = child->run != RULES_NO_RUN;
	if (ms < STORE_SLOW_MS)
		return;
	snprintf(name, sizeof(name), "the disk hangs for %llu s: %s%s%.100s; given up",
		(unsigned long long)ms / 1000, rules_act_name(child->act), has_run ? " " : "",
		has_run ? client->server->shell->rules.runs[child->run].name : "");
	say_wait(client, name, now, mono_after(child->started, STORE_KILL_MS));
}

static void say_waits(struct client *client, const struct shell *shell, struct mono now)
{
	const struct rules *rules = &shell->rules;
	if (rules->gate.state == GATE_SHUT)
		say_wait(client, "the gate opens anyway", now,
			mono_after(rules->gate.since, GATE_OPEN_ANYWAY_MS));
	if (rules->worker.state == WORKER_WAITING)
		say_wait(client, "the worker is started again", now, rules->worker.due);
	if (rules->worker.state == WORKER_DEGRADED)
		say_wait(client, "the worker is replaced", now,
			mono_after(rules->worker.heard, WORKER_HUNG_MS));
	say_wait(client, "the agent leaves", now, rules->leave.due);
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind == CHILD_STORE)
			say_store_wait(client, &shell->children[i], now);
	}
}

static void answer_status(struct client *client, const struct control *asked)
{
	const struct shell *shell = client->server->shell;
	const struct rules *rules = &shell->rules;
	struct mono now = mono_now();
	struct control status;
	uint64_t below = UINT64_MAX;
	status_fill(shell, now, &status);
	say(client, &status);
	say_waits(client, shell, now);
	/* Newest first, without sorting the table itself. */
	for (uint64_t said = 0; said < asked->ask_status.runs_max; said++) {
		const struct rules_run *newest = NULL;
		for (uint32_t i = 0; i < RUNS_KNOWN_MAX; i++) {
			const struct rules_run *run = &rules->runs[i];
			if (run->state != RUN_FREE && run->sequence < below &&
				(!newest || run->sequence > newest->sequence))
				newest = run;
		}
		if (!newest)
			break;
		say_run(client, newest, now);
		below = newest->sequence;
	}
	done(client, TEXT_NONE);
}

/* A child reads the disk for the client and writes to its socket; the client's place is free at
 * once, and a stuck disk leaves a stuck child. */
static void answer_by_child(struct client *client,
	void (*answer)(struct store_job *job, const struct control *asked),
	const struct control *asked)
{
	struct shell *shell = client->server->shell;
	if (child_count(shell, CHILD_ANSWER) >= SHELL_ANSWERS_MAX) {
		refuse(client, "too many such questions at once: try again");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct store_job job = {.config = &shell->config,
			.runs = shell->runs_folder,
			.state = -1,
			.flight = -1,
			.out = client->channel.fd};
		signal(SIGPIPE, SIG_IGN);
		signal(SIGTERM, SIG_DFL);
		lock_forget(shell->lock);
		fcntl(client->channel.fd, F_SETFL, 0);
		answer(&job, asked);
		_exit(0);
	}
	if (pid < 0) {
		refuse(client, "fork failed: the host is short of processes or memory");
		return;
	}
	child_add(shell, CHILD_ANSWER, pid, -1)->kill_after_ms = STORE_KILL_MS;
	client_drop(client);
}

static void child_runs(struct store_job *job, const struct control *asked)
{
	store_child_list(job, (uint32_t)asked->ask_runs.runs_max);
}

static void child_files(struct store_job *job, const struct control *asked)
{
	store_child_files(job, asked->ask_files.run);
}

static void answer_runs(struct client *client, const struct control *asked)
{
	answer_by_child(client, child_runs, asked);
}

static void answer_files(struct client *client, const struct control *asked)
{
	if (asked->ask_files.run.size > 0 && !record_name_is_legal(asked->ask_files.run))
		refuse(client, "that is no name of a run");
	else
		answer_by_child(client, child_files, asked);
}

static void answer_run(struct client *client, const struct control *asked)
{
	struct rules_event event = shell_event(EVENT_ASKED_RUN);
	event.asked_run.client = client->id;
	event.asked_run.command = asked->ask_run.command;
	client->is_waiting = true;
	shell_turn(client->server->shell, &event);
}

static void answer_cancel(struct client *client, const struct control *asked)
{
	struct rules_event event = shell_event(EVENT_ASKED_CANCEL);
	event.asked_cancel.client = client->id;
	event.asked_cancel.run = asked->ask_cancel.run;
	event.asked_cancel.is_kill = asked->ask_cancel.kill;
	client->is_waiting = true;
	shell_turn(client->server->shell, &event);
}

static const struct {
	enum control_type type;
	bool is_open; /* to anyone who can reach the socket */
	void (*answer)(struct client *client, const struct control *asked);
} answers[] = {
	{CONTROL_ASK_STATUS, true, answer_status},
	{CONTROL_ASK_RUNS, false, answer_runs},
	{CONTROL_ASK_FILES, false, answer_files},
	{CONTROL_ASK_RUN, false, answer_run},
	{CONTROL_ASK_CANCEL, false, answer_cancel},
};

static void answer(struct client *client, const struct control *asked)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (answers[i].type != asked->type)
			continue;
		if (answers[i].is_open || client->may_change)
			answers[i].answer(client, asked);
		else
			refuse(client, "not allowed: be root, the agent's user, or in "
				       "group " CONTROL_GROUP);
		return;
	}
	refuse(client, "that is an answer, not a question");
}

void control_reply(
	struct control_server *server, uint64_t id, bool is_good, bool is_queued, struct text text)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];
		if (client->id != id || id == 0)
			continue;
		client->is_waiting = false;
		client->due = mono_after(mono_now(), CONTROL_IDLE_MS);
		if (is_good)
			say(client, &(struct control){.type = CONTROL_BEGUN,
					    .begun = {.run = text, .queued = is_queued}});
		else
			say(client, &(struct control){
					    .type = CONTROL_REFUSED, .refused = {.reason = text}});
		client_flush(client);
	}
}

/* ---- clients ---- */

static void on_client_writable(evutil_socket_t fd, short what, void *data)
{
	struct client *client = data;
	(void)fd;
	(void)what;
	client->is_writable = true;
}

static void on_client(evutil_socket_t fd, short what, void *data)
{
	struct client *client = data;
	(void)fd;
	(void)what;
	client->is_readable = true;
}

static void client_work(struct client *client)
{
	uint64_t id = client->id;
	struct text payload;
	struct control asked;
	bool more = channel_receive(&client->channel);
	/* One question a wake, and none while one is being answered. */
	if (!client->is_waiting && channel_next(&client->channel, &payload)) {
		client->due = mono_after(mono_now(), CONTROL_IDLE_MS);
		if (control_decode(payload, &asked) == SCHEMA_GOOD)
			answer(client, &asked);
		else
			refuse(client, "that is not understood: is nfctl of another version?");
		if (client->id != id)
			return; /* a child has it now */
		client_flush(client);
		if (client->id != id)
			return;
	}
	if (!more || client->channel.state != CHANNEL_OPEN ||
		client->channel.in.size > FRAME_BYTES_MAX + FRAME_HEAD_BYTES)
		client_drop(client);
}

static bool is_operator(const struct control_server *server, uid_t user, gid_t group)
{
	return user == 0 || user == geteuid() || operators_include(&server->operators, user, group);
}

/* The silent client of this user (or of anybody, when all places are taken) that came first: its
 * place is for somebody who says something. */
static struct client *oldest_silent(struct control_server *server, const uid_t *user)
{
	struct client *oldest = NULL;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];
		if (client->id == 0 || client->is_waiting || (user && client->user != *user))
			continue;
		if (!oldest || client->id < oldest->id)
			oldest = client;
	}
	return oldest;
}

static struct client *find_place(struct control_server *server, uid_t user)
{
	struct client *place = NULL, *silent = NULL;
	uint32_t same = 0;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];
		if (client->id == 0)
			place = place ? place : client;
		else
			same += client->user == user;
	}
	if (same >= CONTROL_CLIENTS_USER_MAX)
		silent = oldest_silent(server, &user);
	else if (!place)
		silent = oldest_silent(server, NULL);
	else
		return place;
	if (silent)
		client_drop(silent);
	return silent;
}

static void on_accept(evutil_socket_t fd, short what, void *data)
{
	struct control_server *server = data;
	(void)fd;
	(void)what;
	server->is_acceptable = true;
}

static void accept_one(struct control_server *server)
{
	uid_t user;
	gid_t group;
	pid_t pid;
	own_fd peer = accept(server->fd, NULL, NULL);
	if (peer < 0 || fd_cloexec(peer, true) < 0 || fd_nonblocking(peer) < 0 ||
		platform_peer(peer, &user, &group, &pid) < 0)
		return;
	struct client *client = find_place(server, user);
	if (!client)
		return; /* closed: the client says that the agent is busy */
	*client = (struct client){.id = ++server->last_id,
		.server = server,
		.user = user,
		.may_change = is_operator(server, user, group),
		.due = mono_after(mono_now(), CONTROL_SAY_MS)};
	channel_init(&client->channel, steal_fd(&peer));
	client->readable = event_new(
		server->shell->base, client->channel.fd, EV_READ | EV_PERSIST, on_client, client);
	client->writable = event_new(
		server->shell->base, client->channel.fd, EV_WRITE, on_client_writable, client);
	check(client->readable && client->writable);
	event_add(client->readable, NULL);
	shell_set_timer(server->shell);
}

void control_work(struct control_server *server)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];
		if (client->is_writable) {
			client->is_writable = false;
			client_flush(client);
		}
		if (client->is_readable) {
			client->is_readable = false;
			client_work(client);
		}
	}
	if (server->is_acceptable)
		accept_one(server);
	server->is_acceptable = false;
}

struct mono control_due(struct control_server *server, struct mono now)
{
	struct mono next = MONO_NEVER;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];
		if (client->id == 0)
			continue;
		if (mono_reached(now, client->due))
			client_drop(client);
		else
			next = mono_earlier(next, client->due);
	}
	return next;
}

/* We hold the instance lock, so a socket that is there belongs to nobody any more. */
static int listen_at(struct control_server *server, const char **call)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*call = "path";
	if (strlen(server->path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, server->path, strlen(server->path));
	*call = "socket";
	own_fd fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || fd_cloexec(fd, true) < 0 || fd_nonblocking(fd) < 0)
		return -1;
	*call = "unlink";
	if (unlink(server->path) < 0 && errno != ENOENT)
		return -1;
	*call = "bind";
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	*call = "chmod";
	if (chmod(server->path, 0666) < 0)
		return -1;
	*call = "listen";
	if (listen(fd, CONTROL_BACKLOG) < 0)
		return -1;
	return steal_fd(&fd);
}

struct control_server *control_create(struct shell *shell, const char **call)
{
	struct control_server *server = calloc(1, sizeof(*server));
	check(server != NULL);
	server->shell = shell;
	snprintf(server->path, sizeof(server->path), "%.1000s/control.sock",
		shell->config.runtime_dir);
	server->fd = listen_at(server, call);
	if (server->fd < 0) {
		int kept = errno;
		free(server);
		errno = kept;
		return NULL;
	}
	operators_read(&server->operators, CONTROL_GROUP);
	server->acceptable = event_new(
		shell->base, server->fd, EV_READ | EV_PERSIST, on_accept, server);
	check(server->acceptable != NULL);
	event_add(server->acceptable, NULL);
	return server;
}

void control_destroy(struct control_server *server)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (server->clients[i].id != 0)
			client_drop(&server->clients[i]);
	}
	unlink(server->path);
	event_free(server->acceptable);
	close(server->fd);
	free(server);
}
