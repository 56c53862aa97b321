/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/control.h"
#include "supervisor/control_client.h"
#include "supervisor/control_listener.h"
#include "supervisor/control_server.h"
#include "supervisor/operators.h"
#include "supervisor/platform.h"

/* A client gets this long to take its answer; then its place is somebody else's. */
#define CONTROL_IDLE_MS 60000
/* Who knocks while no descriptor is left would wake the loop again at once, and for nothing. */
#define CONTROL_NO_ACCEPT_MS 500

struct control_server {
	struct shell *shell;
	struct control_listener listener;
	struct mono accept_due; /* MONO_NEVER: whoever knocks is let in */
	bool is_short;          /* of descriptors or memory, and has said so */
	struct control_client clients[CONTROL_CLIENTS_MAX];
	uint64_t last_id;
	struct operators operators; /* members of CONTROL_GROUP */
};

void control_client_drop(struct control_client *client)
{
	event_free(client->readable);
	event_free(client->writable);
	channel_finish(&client->channel);
	*client = (struct control_client){0};
}

static void client_flush(struct control_client *client)
{
	if (!channel_flush(&client->channel)) {
		control_client_drop(client);
		return;
	}
	if (channel_is_sending(&client->channel))
		event_add(client->writable, NULL);
}

/* NULL: it went. Its wait is over. */
static struct control_client *find_waiting(struct control_server *server, uint64_t id)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (client->id != id || id == 0)
			continue;
		client->is_waiting = false;
		client->due = mono_after(mono_now(), CONTROL_IDLE_MS);
		return client;
	}
	return NULL;
}

void control_reply(
	struct control_server *server, uint64_t id, bool is_good, bool is_queued, struct text text)
{
	struct control_client *client = find_waiting(server, id);
	if (!client)
		return;
	if (is_good)
		control_say(client, &(struct control){.type = CONTROL_BEGUN,
					    .begun = {.run = text, .queued = is_queued}});
	else
		control_say(client,
			&(struct control){.type = CONTROL_REFUSED, .refused = {.reason = text}});
	client_flush(client);
}

void control_reply_said(
	struct control_server *server, uint64_t id, bool is_good, struct text sentence)
{
	struct control_client *client = find_waiting(server, id);
	if (!client)
		return;
	if (is_good)
		control_done(client, sentence);
	else
		control_say(client, &(struct control){.type = CONTROL_REFUSED,
					    .refused = {.reason = sentence}});
	client_flush(client);
}

/* ---- clients ---- */

static void on_client_writable(evutil_socket_t fd, short what, void *data)
{
	struct control_client *client = data;
	(void)fd;
	(void)what;
	client->is_writable = true;
}

static void on_client(evutil_socket_t fd, short what, void *data)
{
	struct control_client *client = data;
	(void)fd;
	(void)what;
	client->is_readable = true;
}

static void client_work(struct control_client *client)
{
	uint64_t id = client->id;
	struct text payload;
	struct control asked;
	bool more = channel_receive(&client->channel);
	/* One question a wake, and none while one is being answered. */
	if (!client->is_waiting && channel_next(&client->channel, &payload)) {
		client->due = mono_after(mono_now(), CONTROL_IDLE_MS);
		if (control_decode(payload, &asked) == SCHEMA_GOOD)
			control_answer(client, &asked);
		else
			control_refuse(
				client, "that is not understood: is nfctl of another version?");
		if (client->id != id)
			return; /* a child has it now */
		client_flush(client);
		if (client->id != id)
			return;
	}
	if (!more || client->channel.state != CHANNEL_OPEN ||
		client->channel.in.size > FRAME_BYTES_MAX + FRAME_HEAD_BYTES)
		control_client_drop(client);
}

static bool is_operator(const struct control_server *server, uid_t user, gid_t group)
{
	return user == 0 || user == geteuid() || operators_include(&server->operators, user, group);
}

/* The silent client of this user (or of anybody, when all places are taken) that came first: its
 * place is for somebody who says something. */
static struct control_client *oldest_silent(struct control_server *server, const uid_t *user)
{
	struct control_client *oldest = NULL;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (client->id == 0 || client->is_waiting || (user && client->user != *user))
			continue;
		if (!oldest || client->id < oldest->id)
			oldest = client;
	}
	return oldest;
}

static struct control_client *find_place(struct control_server *server, uid_t user)
{
	struct control_client *place = NULL, *silent = NULL;
	uint32_t same = 0;
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
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
		control_client_drop(silent);
	return silent;
}

static void stop_accepting(struct control_server *server)
{
	if (!server->is_short)
		log_warn("clients of the control socket wait: accept: %s", strerror(errno));
	server->is_short = true;
	control_listener_hold(&server->listener);
	server->accept_due = mono_after(mono_now(), CONTROL_NO_ACCEPT_MS);
	shell_set_timer(server->shell);
}

static void accept_one(struct control_server *server)
{
	uid_t user;
	gid_t group;
	pid_t pid;
	own_fd peer = accept(server->listener.fd, NULL, NULL);
	if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
		stop_accepting(server);
	if (peer < 0 || fd_cloexec(peer, true) < 0 || fd_nonblocking(peer) < 0 ||
		platform_peer(peer, &user, &group, &pid) < 0)
		return;
	server->is_short = false;
	struct control_client *client = find_place(server, user);
	if (!client)
		return; /* closed: the client says that the agent is busy */
	*client = (struct control_client){.id = ++server->last_id,
		.server = server,
		.shell = server->shell,
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
		struct control_client *client = &server->clients[i];
		if (client->is_writable) {
			client->is_writable = false;
			client_flush(client);
		}
		if (client->is_readable) {
			client->is_readable = false;
			client_work(client);
		}
	}
	if (server->listener.is_acceptable)
		accept_one(server);
	server->listener.is_acceptable = false;
	if (server->listener.is_changed) {
		control_listener_work(&server->listener);
		shell_set_timer(server->shell);
	}
}

struct mono control_due(struct control_server *server, struct mono now)
{
	if (mono_reached(now, server->accept_due)) {
		server->accept_due = MONO_NEVER;
		control_listener_go_on(&server->listener);
	}
	struct mono next = mono_earlier(
		server->accept_due, control_listener_due(&server->listener, now));
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &server->clients[i];
		if (client->id == 0)
			continue;
		if (mono_reached(now, client->due))
			control_client_drop(client);
		else
			next = mono_earlier(next, client->due);
	}
	return next;
}

struct control_server *control_create(struct shell *shell, const char **call)
{
	struct control_server *server = calloc(1, sizeof(*server));
	check(server != NULL);
	server->shell = shell;
	server->accept_due = MONO_NEVER;
	if (control_listener_open(&server->listener, shell->base, shell->config.runtime_dir, call) <
		0) {
		int kept = errno;
		free(server);
		errno = kept;
		return NULL;
	}
	operators_read(&server->operators, CONTROL_GROUP);
	return server;
}

void control_destroy(struct control_server *server)
{
	for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (server->clients[i].id != 0)
			control_client_drop(&server->clients[i]);
	}
	control_listener_close(&server->listener);
	free(server);
}
