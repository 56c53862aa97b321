/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What goes wrong on purpose on a WebSocket connection. */
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "tests/dashboard/dashboard.h"
#include "tests/dashboard/socket.h"

static void send_binary(struct socket *socket)
{
	uint8_t garbage[SOCKET_GARBAGE_BYTES];
	uint32_t seed = 1;
	for (size_t i = 0; i < sizeof(garbage); i++) {
		seed = seed * 1664525u + 1013904223u;
		garbage[i] = (uint8_t)(seed >> 24);
	}
	socket_queue(socket, WSLAY_BINARY_FRAME, garbage, sizeof(garbage));
}

static void send_big(struct socket *socket, size_t bytes)
{
	static const char head[] = "{\"type\":\"", tail[] = "\",\"payload\":{}}";
	size_t frame = sizeof(head) + sizeof(tail) - 2;
	char *text = malloc(frame > bytes ? frame : bytes);
	size_t filler = bytes > frame ? bytes - frame : 0;
	if (!text)
		return;
	memcpy(text, head, sizeof(head) - 1);
	memset(text + sizeof(head) - 1, 'a', filler);
	memcpy(text + sizeof(head) - 1 + filler, tail, sizeof(tail) - 1);
	socket_queue(socket, WSLAY_TEXT_FRAME, text, frame + filler);
	free(text);
}

/* What a second connection of the same host does to the first: an empty close frame. */
static void evict(struct socket *socket)
{
	struct host *host = hosts_find(&socket->sockets->dashboard->hosts, socket->host);
	if (host)
		host->session.evicted++;
	socket_close(socket, 0);
}

static void suffer(struct socket *socket, const struct fault_effect *effect)
{
	static const char garbage[] = "}this is no JSON{";
	switch (effect->kind) {
	case FAULT_DROP: socket_drop(socket); break;
	case FAULT_DELAY:
		bufferevent_disable(socket->stream, EV_READ);
		socket->read_again = mono_after(mono_now(), effect->ms);
		break;
	case FAULT_CUT: socket->output_left = effect->bytes; break;
	case FAULT_CUT_INPUT: socket->input_left = effect->bytes; break;
	case FAULT_HALF_OPEN:
		bufferevent_disable(socket->stream, EV_READ);
		socket->state = SOCKET_DEAF;
		break;
	case FAULT_STOP_READING: bufferevent_disable(socket->stream, EV_READ); break;
	case FAULT_TEXT_GARBAGE:
		socket_queue(socket, WSLAY_TEXT_FRAME, garbage, sizeof(garbage) - 1);
		break;
	case FAULT_RAW:
		socket_queue(socket, WSLAY_TEXT_FRAME, effect->body, strlen(effect->body));
		break;
	case FAULT_BINARY: send_binary(socket); break;
	case FAULT_BIG: send_big(socket, (size_t)effect->bytes); break;
	case FAULT_CLOSE: socket_close(socket, (uint16_t)effect->code); break;
	case FAULT_NO_PONG: socket->no_pong = true; break;
	case FAULT_EVICT: evict(socket); break;
	case FAULT_TRICKLE:
	case FAULT_CODE:
	case FAULT_GARBAGE:
	case FAULT_TRUNCATED:
	case FAULT_DEEP:
	case FAULT_TYPES:
	case FAULT_HTML:
	case FAULT_HUGE: break;
	}
}

void socket_suffer(struct socket *socket, const struct fault *fault)
{
	char names[FAULT_NAMES_BYTES];
	fault_names(fault, names);
	socket_log(socket, "FAULT", fault->match, NULL, names);
	for (uint32_t i = 0; i < fault->count && socket->state == SOCKET_OPEN; i++)
		suffer(socket, &fault->effects[i]);
}
