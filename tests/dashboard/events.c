/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/events.h"

#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "tests/dashboard/dashboard.h"

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			   "Cache-Control: no-store\r\nConnection: close\r\n\r\nretry: 1000\n\n";

struct events_client {
	struct events_client **place;
	struct evhttp_connection *connection;
	struct bufferevent *stream;
};

static void client_end(struct events_client *client)
{
	*client->place = NULL;
	bufferevent_setcb(client->stream, NULL, NULL, NULL, NULL);
	evhttp_connection_free(client->connection);
	free(client);
}

static void arm(struct events *events, uint32_t ms)
{
	struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(events->timer, &delay);
}

/* The state as one event, from malloc; NULL without memory. */
static char *state_text(struct dashboard *dashboard)
{
	struct mono now = mono_now();
	json_t *state = json_pack("{s:f s:I s:o}", "now_ms", (double)now.ns / (double)NS_PER_MS,
		"now_wall_ms", (json_int_t)wall_ms(wall_now()), "hosts",
		hosts_json(&dashboard->hosts, true, now));
	char *text = json_dumps(state, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(state);
	return text;
}

static void client_tell(struct events_client *client, const char *text)
{
	struct evbuffer *unread = bufferevent_get_output(client->stream);
	if (evbuffer_get_length(unread) > EVENTS_UNREAD_MAX) {
		client_end(client);
		return;
	}
	evbuffer_add_printf(unread, "data: %s\n\n", text);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct events *events = data;
	bool somebody = false;
	for (uint32_t i = 0; i < EVENTS_CLIENTS_MAX; i++)
		somebody |= events->clients[i] != NULL;
	char *text = somebody ? state_text(events->dashboard) : NULL;
	for (uint32_t i = 0; text && i < EVENTS_CLIENTS_MAX; i++) {
		if (events->clients[i])
			client_tell(events->clients[i], text);
	}
	free(text);
	events->changed = false;
	arm(events, EVENTS_TICK_MS);
}

int events_init(struct events *events, struct dashboard *dashboard)
{
	*events = (struct events){.dashboard = dashboard};
	events->timer = event_new(dashboard->base, -1, 0, on_timer, events);
	if (!events->timer)
		return -1;
	arm(events, EVENTS_TICK_MS);
	return 0;
}

void events_finish(struct events *events)
{
	for (uint32_t i = 0; i < EVENTS_CLIENTS_MAX; i++) {
		if (events->clients[i])
			client_end(events->clients[i]);
	}
	event_free(events->timer);
}

static void on_event(struct bufferevent *stream, short what, void *data)
{
	(void)stream, (void)what;
	client_end(data);
}

int events_join(struct events *events, struct evhttp_request *http)
{
	struct events_client **place = NULL;
	for (uint32_t i = 0; i < EVENTS_CLIENTS_MAX && !place; i++) {
		if (!events->clients[i])
			place = &events->clients[i];
	}
	struct events_client *client = place ? calloc(1, sizeof(*client)) : NULL;
	if (!client)
		return -1;
	*place = client;
	client->place = place;
	client->connection = evhttp_request_get_connection(http);
	client->stream = evhttp_connection_get_bufferevent(client->connection);
	bufferevent_setcb(client->stream, NULL, NULL, on_event, client);
	bufferevent_set_timeouts(client->stream, NULL, NULL);
	bufferevent_setwatermark(client->stream, EV_READ, 0, 4096);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	bufferevent_write(client->stream, head, sizeof(head) - 1);
	char *text = state_text(events->dashboard);
	if (text)
		client_tell(client, text);
	free(text);
	return 0;
}

void events_touch(struct events *events)
{
	if (events->changed)
		return;
	events->changed = true;
	arm(events, EVENTS_GAP_MS);
}
