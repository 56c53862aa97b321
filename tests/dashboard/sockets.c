/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "tests/dashboard/dashboard.h"
#include "tests/dashboard/fields.h"
#include "tests/dashboard/socket.h"

void sockets_init(struct sockets *sockets, struct dashboard *dashboard)
{
	*sockets = (struct sockets){.dashboard = dashboard};
}

static void destroy(struct socket *socket)
{
	struct dashboard *dashboard = socket->sockets->dashboard;
	struct host *host = *socket->host ? hosts_find(&dashboard->hosts, socket->host) : NULL;
	if (host)
		session_gone(host, socket->number, mono_now());
	events_touch(&dashboard->events);
	*socket->place = NULL;
	event_free(socket->timer);
	wslay_event_context_free(socket->frames);
	bufferevent_setcb(socket->stream, NULL, NULL, NULL, NULL);
	evhttp_connection_free(socket->connection);
	free(socket);
}

void sockets_finish(struct sockets *sockets)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (sockets->list[i])
			destroy(sockets->list[i]);
	}
}

/* The host as the log has it: the first frame of a connection says itself whose it is. */
static const char *log_name(const struct socket *socket, const json_t *payload)
{
	const char *name = json_string_value(json_object_get(payload, "hostname"));
	if (*socket->host)
		return socket->host;
	return name && fields_host_id(name) ? name : NULL;
}

void socket_log(const struct socket *socket, const char *method, const char *type,
	const json_t *payload, const char *fault)
{
	char path[128];
	struct dashboard *dashboard = socket->sockets->dashboard;
	if (strcmp(type, "output") == 0 && !dashboard->options.log_output)
		return;
	const char *name = log_name(socket, payload);
	snprintf(path, sizeof(path), "/ws/%s/%s", name ? name : "-", type);
	request_log_write(&dashboard->log, &(struct request_log_line){
						   .now = mono_now(),
						   .method = method,
						   .path = path,
						   .host = name,
						   .auth = "shared",
						   .body = payload,
						   .connection = socket->number,
						   .fault = fault,
					   });
}

void socket_queue(struct socket *socket, uint8_t opcode, const void *data, size_t size)
{
	struct wslay_event_msg message = {.opcode = opcode, .msg = data, .msg_length = size};
	if (socket->state == SOCKET_OPEN)
		wslay_event_queue_msg(socket->frames, &message);
}

void socket_close(struct socket *socket, uint16_t code)
{
	if (socket->state != SOCKET_OPEN)
		return;
	wslay_event_queue_close(socket->frames, code, NULL, 0);
	socket_log(socket, "OUT", "close", NULL, NULL);
	socket->state = SOCKET_CLOSING;
	socket->close_due = mono_after(mono_now(), SOCKET_CLOSE_MS);
}

void socket_drop(struct socket *socket)
{
	socket->state = SOCKET_ENDED;
}

static ssize_t on_recv(
	wslay_event_context_ptr frames, uint8_t *to, size_t size, int flags, void *data)
{
	(void)flags;
	struct socket *socket = data;
	struct evbuffer *input = bufferevent_get_input(socket->stream);
	size_t most = size < socket->input_left ? size : (size_t)socket->input_left;
	bool reads = socket->state == SOCKET_OPEN || socket->state == SOCKET_CLOSING;
	if (socket->input_left == 0)
		socket_drop(socket);
	if (!reads || !(bufferevent_get_enabled(socket->stream) & EV_READ) || most == 0 ||
		evbuffer_get_length(input) == 0) {
		wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	int got = evbuffer_remove(input, to, most);
	if (socket->input_left != UINT64_MAX && got > 0)
		socket->input_left -= (uint64_t)got;
	return got;
}

/* wslay hands over whole headers: a frame's first call has them, the next ones its content. */
static ssize_t on_send(
	wslay_event_context_ptr frames, const uint8_t *from, size_t size, int flags, void *data)
{
	(void)frames, (void)flags;
	struct socket *socket = data;
	if (socket->frame_left == 0) {
		size_t length = from[1] & 0x7f, digits = length == 126 ? 2 : length == 127 ? 8 : 0;
		socket->frame_is_dropped = socket->no_pong && (from[0] & 0xf) == WSLAY_PONG;
		for (size_t i = 0; i < digits; i++)
			length = (i ? length << 8 : 0) | from[2 + i];
		socket->frame_left = length;
	} else {
		socket->frame_left -= size;
	}
	size_t most = size < socket->output_left ? size : (size_t)socket->output_left;
	if (!socket->frame_is_dropped)
		bufferevent_write(socket->stream, from, most);
	if (socket->output_left != UINT64_MAX && !socket->frame_is_dropped) {
		socket->output_left -= most;
		if (socket->output_left == 0)
			socket->state = SOCKET_CLOSING;
	}
	return (ssize_t)size;
}

static void on_message(wslay_event_context_ptr frames,
	const struct wslay_event_on_msg_recv_arg *message, void *data)
{
	(void)frames;
	socket_message(data, message);
}

static void arm(struct socket *socket)
{
	struct mono now = mono_now();
	struct mono due = socket->read_again;
	if (socket->state == SOCKET_OPEN) {
		uint32_t idle_ms = socket->sockets->dashboard->options.idle_ms;
		due = mono_earlier(due, mono_after(socket->heard, idle_ms));
		due = mono_earlier(due, socket->ping_due);
	} else if (socket->state == SOCKET_CLOSING) {
		due = mono_earlier(due, socket->close_due);
	} else {
		event_del(socket->timer);
		return;
	}
	uint64_t ms = mono_ms_until(now, due);
	struct timeval delay = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(socket->timer, &delay);
}

/* Both sides have said their close, or nothing more may go out, and all is written. */
static bool is_over(struct socket *socket)
{
	size_t unsent = evbuffer_get_length(bufferevent_get_output(socket->stream));
	if (socket->state == SOCKET_ENDED)
		return true;
	if (socket->state != SOCKET_CLOSING || unsent > 0)
		return false;
	return socket->output_left == 0 || (wslay_event_get_close_received(socket->frames) &&
						   wslay_event_get_close_sent(socket->frames));
}

void socket_pump(struct socket *socket)
{
	if (socket->pumping)
		return;
	socket->pumping = true;
	if (socket->state != SOCKET_DEAF && wslay_event_recv(socket->frames) != 0)
		socket_drop(socket);
	/* It queues its own close for what is too long or against the rules. */
	if (socket->state == SOCKET_OPEN && !wslay_event_get_read_enabled(socket->frames)) {
		socket->state = SOCKET_CLOSING;
		socket->close_due = mono_after(mono_now(), SOCKET_CLOSE_MS);
	}
	if (socket->state == SOCKET_OPEN || socket->state == SOCKET_CLOSING)
		wslay_event_send(socket->frames);
	socket->pumping = false;
	if (is_over(socket))
		destroy(socket);
	else
		arm(socket);
}

static void on_readable(struct bufferevent *stream, void *data)
{
	(void)stream;
	struct socket *socket = data;
	socket->heard = mono_now();
	socket_pump(socket);
}

static void on_written(struct bufferevent *stream, void *data)
{
	(void)stream;
	socket_pump(data);
}

static void on_event(struct bufferevent *stream, short what, void *data)
{
	(void)stream, (void)what;
	struct socket *socket = data;
	socket_log(socket, "IN", "end", NULL, NULL);
	socket_drop(socket);
	socket_pump(socket);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct socket *socket = data;
	const struct dashboard_options *options = &socket->sockets->dashboard->options;
	struct mono now = mono_now();
	if (mono_reached(now, socket->read_again)) {
		socket->read_again = MONO_NEVER;
		bufferevent_enable(socket->stream, EV_READ);
	}
	if (socket->state == SOCKET_CLOSING && mono_reached(now, socket->close_due))
		socket_drop(socket);
	if (socket->state == SOCKET_OPEN &&
		mono_reached(now, mono_after(socket->heard, options->idle_ms))) {
		socket_log(socket, "OUT", "idle", NULL, NULL);
		socket_drop(socket);
	} else if (socket->state == SOCKET_OPEN && mono_reached(now, socket->ping_due)) {
		socket_queue(socket, WSLAY_PING, "", 0);
		socket->ping_due = mono_after(now, options->ping_ms);
	}
	socket_pump(socket);
}

/* The list's first free place; where there is none, the first half-open connection gives way. */
static struct socket **find_place(struct sockets *sockets)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (!sockets->list[i])
			return &sockets->list[i];
	}
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (sockets->list[i]->state != SOCKET_DEAF)
			continue;
		destroy(sockets->list[i]);
		return &sockets->list[i];
	}
	return NULL;
}

static struct socket *make(struct sockets *sockets)
{
	static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
		.send_callback = on_send,
		.on_msg_recv_callback = on_message};
	struct mono now = mono_now();
	struct socket *socket = calloc(1, sizeof(*socket));
	if (!socket)
		return NULL;
	*socket = (struct socket){.sockets = sockets,
		.number = ++sockets->made,
		.heard = now,
		.ping_due = mono_after(now, sockets->dashboard->options.ping_ms),
		.read_again = MONO_NEVER,
		.close_due = mono_after(now, SOCKET_CLOSE_MS),
		.output_left = UINT64_MAX,
		.input_left = UINT64_MAX};
	socket->timer = event_new(sockets->dashboard->base, -1, 0, on_timer, socket);
	if (!socket->timer ||
		wslay_event_context_server_init(&socket->frames, &callbacks, socket) != 0) {
		if (socket->timer)
			event_free(socket->timer);
		free(socket);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(socket->frames, SOCKET_MESSAGE_BYTES);
	return socket;
}

int sockets_join(
	struct sockets *sockets, struct evhttp_request *http, const char *head, bool has_origin)
{
	struct socket **place = find_place(sockets);
	struct socket *socket = place ? make(sockets) : NULL;
	/* Not NULL: after that libevent still takes up the HTTP server's 5 s at the next byte. */
	const struct timeval never = {.tv_sec = 10L * 365 * 86400};
	struct fault fault;
	int yes = 1;
	if (!socket)
		return -1;
	*place = socket;
	socket->place = place;
	socket->has_origin = has_origin;
	socket->connection = evhttp_request_get_connection(http);
	socket->stream = evhttp_connection_get_bufferevent(socket->connection);
	setsockopt(bufferevent_getfd(socket->stream), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	bufferevent_setcb(socket->stream, on_readable, on_written, on_event, socket);
	bufferevent_set_timeouts(socket->stream, &never, &never);
	bufferevent_setwatermark(socket->stream, EV_READ, 0, 2 * SOCKET_MESSAGE_BYTES);
	bufferevent_enable(socket->stream, EV_READ | EV_WRITE);
	bufferevent_write(socket->stream, head, strlen(head));
	if (faults_take(&sockets->dashboard->faults,
		    &(struct fault_target){FAULT_SOCKET, "connect", NULL}, &fault))
		socket_suffer(socket, &fault);
	/* Not from inside the server's own callback: it still uses the connection. */
	event_add(socket->timer, &(struct timeval){0});
	return 0;
}

/* The connection that speaks for the host, or NULL. */
static struct socket *socket_of(const struct sockets *sockets, const struct host *host)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket *socket = sockets->list[i];
		if (socket && socket->number == host->session.connection)
			return socket;
	}
	return NULL;
}

bool sockets_send(
	struct sockets *sockets, const struct host *host, const char *type, json_t *payload)
{
	struct socket *socket = socket_of(sockets, host);
	json_t *json = json_pack("{s:s s:o}", "type", type, "payload", payload);
	char *text = json && socket ? json_dumps(json, JSON_COMPACT) : NULL;
	if (text) {
		socket_queue(socket, WSLAY_TEXT_FRAME, text, strlen(text));
		socket_log(socket, "OUT", type, payload, NULL);
		socket_pump(socket);
	}
	json_decref(json);
	free(text);
	return text != NULL;
}

uint32_t sockets_fault(struct sockets *sockets, const struct fault *fault)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket *socket = sockets->list[i];
		if (!socket || (*fault->host && strcmp(fault->host, socket->host) != 0))
			continue;
		socket_suffer(socket, fault);
		socket_pump(socket);
		count++;
	}
	return count;
}

void sockets_forget(struct sockets *sockets, const char *host)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (sockets->list[i] && strcmp(sockets->list[i]->host, host) == 0) {
			socket_drop(sockets->list[i]);
			socket_pump(sockets->list[i]);
		}
	}
}
