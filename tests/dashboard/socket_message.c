/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From a frame to what it means for its host, and to the answer. */
#include <ctype.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "tests/dashboard/dashboard.h"
#include "tests/dashboard/fields.h"
#include "tests/dashboard/output_frame.h"
#include "tests/dashboard/socket.h"

static struct host *host_of(const struct socket *socket)
{
	return hosts_find(&socket->sockets->dashboard->hosts, socket->host);
}

/* A frame that means nothing: it is ignored, and remembered where its host is known. */
static void ignore(struct socket *socket, const char *why)
{
	struct host *host = *socket->host ? host_of(socket) : NULL;
	socket_log(socket, "IN", "ignored", NULL, NULL);
	if (!host)
		return;
	host->session.ignored++;
	session_violation(&host->session, "%s", why);
}

/* The other connections of the host's give way, with an empty close frame. */
static void evict_others(struct socket *socket, struct host *host)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket *other = socket->sockets->list[i];
		if (!other || other == socket || strcmp(other->host, socket->host) != 0)
			continue;
		if (other->state == SOCKET_DEAF) {
			socket_drop(other);
		} else if (other->state == SOCKET_OPEN) {
			host->session.evicted++;
			socket_close(other, 0);
		}
		session_gone(host, other->number, mono_now());
		socket_pump(other);
	}
}

/* Makes the connection that host's. NULL where the payload names none. */
static struct host *adopt(struct socket *socket, const json_t *payload)
{
	const char *name = json_string_value(json_object_get(payload, "hostname"));
	if (!name || !fields_host_id(name))
		return NULL;
	for (size_t i = 0; i <= strlen(name); i++)
		socket->host[i] = (char)tolower((unsigned char)name[i]);
	struct host *host = hosts_make(&socket->sockets->dashboard->hosts, socket->host);
	if (!host) {
		socket->host[0] = '\0';
		return NULL;
	}
	evict_others(socket, host);
	if (socket->has_origin)
		session_violation(&host->session, "an Origin header");
	return host;
}

/* After registered: a command that has waited for it. */
static void send_waiting(struct socket *socket, struct host *host)
{
	uint32_t number = host->queued;
	const char *command = host_take(host, wall_now());
	if (!command)
		return;
	host->session.tracked = number;
	sockets_send(socket->sockets, host, "command", json_pack("{s:s}", "command", command));
}

/* The message is acted on. */
static void act(struct socket *socket, enum session_frame frame, const json_t *payload)
{
	bool first = frame == SESSION_REGISTER && !*socket->host;
	struct host *host = first ? adopt(socket, payload) : host_of(socket);
	if (!host)
		return; /* before its register, of a host that was deleted, or of no legal name */
	if (frame == SESSION_REGISTER && !first)
		session_violation(&host->session, "a second register on one connection");
	session_receive(host, frame,
		&(struct session_message){socket->number, payload, mono_now(), wall_now()});
	events_touch(&socket->sockets->dashboard->events);
	if (frame != SESSION_REGISTER)
		return;
	sockets_send(socket->sockets, host, "registered", json_pack("{s:s}", "host_id", host->id));
	send_waiting(socket, host);
}

/* Nobody wants to see or spoil it: the short way for what comes by the million. */
static bool take_output(struct socket *socket, const char *text, size_t size)
{
	struct dashboard *dashboard = socket->sockets->dashboard;
	struct output_frame frame;
	struct host *host = *socket->host ? host_of(socket) : NULL;
	if (!host || dashboard->faults.count > 0 || dashboard->options.log_output ||
		!output_frame_read(text, size, &frame))
		return false;
	session_output(host, &frame,
		&(struct session_message){socket->number, NULL, mono_now(), wall_now()});
	events_touch(&dashboard->events);
	return true;
}

static void on_text(struct socket *socket, const char *text, size_t size)
{
	if (take_output(socket, text, size))
		return;
	struct faults *faults = &socket->sockets->dashboard->faults;
	struct fault fault = {.act = true};
	json_t *json = json_loadb(text, size, 0, NULL);
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *payload = json_object_get(json, "payload");
	enum session_frame frame = session_frame_find(type);

	if (frame == SESSION_FRAME_COUNT || !json_is_object(payload)) {
		ignore(socket, !json   ? "a frame that is no JSON"
			       : !type ? "a frame without a type"
				       : "a frame of an unknown type or without a payload");
		json_decref(json);
		return;
	}
	bool faulty = faults_take(faults,
		&(struct fault_target){FAULT_SOCKET, type, *socket->host ? socket->host : NULL},
		&fault);
	socket_log(socket, "IN", type, payload, NULL);
	if (fault.act)
		act(socket, frame, payload);
	if (faulty)
		socket_suffer(socket, &fault);
	json_decref(json);
}

/* Told to stop reading for good: what wslay had read ahead is not looked at either. */
static bool is_stopped(const struct socket *socket)
{
	return !(bufferevent_get_enabled(socket->stream) & EV_READ) &&
	       socket->read_again.ns == MONO_NEVER.ns;
}

void socket_message(struct socket *socket, const struct wslay_event_on_msg_recv_arg *message)
{
	struct host *host = *socket->host ? host_of(socket) : NULL;
	if (socket->state != SOCKET_OPEN || is_stopped(socket))
		return;
	switch (message->opcode) {
	case WSLAY_TEXT_FRAME:
		on_text(socket, (const char *)message->msg, message->msg_length);
		break;
	case WSLAY_BINARY_FRAME: ignore(socket, "a binary frame"); break;
	case WSLAY_PING:
		if (host)
			host->session.pings++;
		socket_log(socket, "IN", "ping", NULL, NULL);
		break;
	case WSLAY_PONG:
		if (host)
			host->session.pongs++;
		socket_log(socket, "IN", "pong", NULL, NULL);
		break;
	case WSLAY_CONNECTION_CLOSE:
		socket_log(socket, "IN", "close", NULL, NULL);
		socket->state = SOCKET_CLOSING;
		break;
	default: break;
	}
}
