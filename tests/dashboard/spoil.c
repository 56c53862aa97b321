/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/spoil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

struct spoil {
	struct spoil **place; /* in the list */
	struct evhttp_connection *connection;
	struct bufferevent *stream;
	struct event *timer;
	struct fault fault;
	char *raw;
	size_t raw_size;
	size_t raw_sent;
	uint64_t huge_left;
	bool closing; /* once what was written is out */
};

void spoils_init(struct spoils *spoils, struct event_base *base)
{
	*spoils = (struct spoils){.base = base};
}

static void spoil_end(struct spoil *spoil)
{
	*spoil->place = NULL;
	event_free(spoil->timer);
	bufferevent_setcb(spoil->stream, NULL, NULL, NULL, NULL);
	evhttp_connection_free(spoil->connection);
	free(spoil->raw);
	free(spoil);
}

void spoils_finish(struct spoils *spoils)
{
	for (uint32_t i = 0; i < SPOILS_MAX; i++) {
		if (spoils->list[i])
			spoil_end(spoils->list[i]);
	}
}

bool spoil_wants(const struct fault *fault)
{
	return fault_effect(fault, FAULT_DROP) || fault_effect(fault, FAULT_DELAY) ||
	       fault_effect(fault, FAULT_TRICKLE) || fault_effect(fault, FAULT_CUT) ||
	       fault_effect(fault, FAULT_GARBAGE) || fault_effect(fault, FAULT_HUGE);
}

static void arm(struct spoil *spoil, uint32_t ms)
{
	struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_add(spoil->timer, &delay);
}

/* Writes the answer and closes when it is out. */
static void write_and_close(struct spoil *spoil)
{
	spoil->closing = true;
	bufferevent_write(spoil->stream, spoil->raw, spoil->raw_size);
}

static void write_garbage(struct spoil *spoil)
{
	uint8_t garbage[SPOIL_GARBAGE_BYTES];
	uint32_t seed = 1;
	for (size_t i = 0; i < sizeof(garbage); i++) {
		seed = seed * 1664525u + 1013904223u;
		garbage[i] = (uint8_t)(seed >> 24);
	}
	spoil->closing = true;
	bufferevent_write(spoil->stream, garbage, sizeof(garbage));
}

static void write_huge_head(struct spoil *spoil, uint64_t huge)
{
	char head[160];
	int size = snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %llu\r\n"
		"Connection: close\r\n\r\n\"",
		(unsigned long long)huge + 2);
	spoil->huge_left = huge;
	bufferevent_write(spoil->stream, head, (size_t)size);
}

static void write_huge_piece(struct spoil *spoil)
{
	char piece[SPOIL_PIECE_BYTES];
	size_t size = spoil->huge_left < sizeof(piece) ? (size_t)spoil->huge_left : sizeof(piece);
	if (size == 0) {
		spoil->closing = true;
		bufferevent_write(spoil->stream, "\"", 1);
		return;
	}
	memset(piece, 'a', size);
	spoil->huge_left -= size;
	bufferevent_write(spoil->stream, piece, size);
}

static void trickle(struct spoil *spoil, uint32_t ms)
{
	bufferevent_write(spoil->stream, spoil->raw + spoil->raw_sent, 1);
	spoil->raw_sent++;
	spoil->closing = spoil->raw_sent == spoil->raw_size;
	if (!spoil->closing)
		arm(spoil, ms);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	struct spoil *spoil = data;
	const struct fault_effect *cut = fault_effect(&spoil->fault, FAULT_CUT);
	const struct fault_effect *slow = fault_effect(&spoil->fault, FAULT_TRICKLE);
	const struct fault_effect *huge = fault_effect(&spoil->fault, FAULT_HUGE);
	if (cut && cut->bytes < spoil->raw_size)
		spoil->raw_size = (size_t)cut->bytes;
	if (fault_effect(&spoil->fault, FAULT_DROP) || spoil->raw_size == 0)
		spoil_end(spoil);
	else if (fault_effect(&spoil->fault, FAULT_GARBAGE))
		write_garbage(spoil);
	else if (huge)
		write_huge_head(spoil, huge->bytes);
	else if (slow)
		trickle(spoil, slow->ms);
	else
		write_and_close(spoil);
}

static void on_written(struct bufferevent *stream, void *data)
{
	(void)stream;
	struct spoil *spoil = data;
	if (spoil->closing)
		spoil_end(spoil);
	else if (fault_effect(&spoil->fault, FAULT_HUGE) &&
		 !event_pending(spoil->timer, EV_TIMEOUT, NULL))
		write_huge_piece(spoil);
}

static void on_event(struct bufferevent *stream, short what, void *data)
{
	(void)stream, (void)what;
	spoil_end(data); /* the client is gone */
}

int spoil_send(struct spoils *spoils, struct evhttp_request *http, const struct fault *fault,
	const struct reply *reply)
{
	struct spoil **place = NULL;
	for (uint32_t i = 0; i < SPOILS_MAX && !place; i++) {
		if (!spoils->list[i])
			place = &spoils->list[i];
	}
	struct spoil *spoil = place ? calloc(1, sizeof(*spoil)) : NULL;
	if (!spoil)
		return -1;
	*spoil = (struct spoil){.place = place, .fault = *fault};
	spoil->raw = reply_raw(reply, &spoil->raw_size);
	spoil->timer = event_new(spoils->base, -1, 0, on_timer, spoil);
	if (!spoil->raw || !spoil->timer) {
		if (spoil->timer)
			event_free(spoil->timer);
		free(spoil->raw);
		free(spoil);
		return -1;
	}
	*place = spoil;
	spoil->connection = evhttp_request_get_connection(http);
	spoil->stream = evhttp_connection_get_bufferevent(spoil->connection);
	bufferevent_setcb(spoil->stream, NULL, on_written, on_event, spoil);
	bufferevent_set_timeouts(spoil->stream, NULL, NULL);
	bufferevent_setwatermark(spoil->stream, EV_READ, 0, SPOIL_PIECE_BYTES);
	bufferevent_enable(spoil->stream, EV_READ | EV_WRITE);
	/* Never from inside the server's own callback: it still uses the connection. */
	const struct fault_effect *late = fault_effect(fault, FAULT_DELAY);
	arm(spoil, late ? late->ms : 0);
	return 0;
}
