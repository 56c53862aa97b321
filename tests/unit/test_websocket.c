/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A connection to a server that takes it and then says nothing. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/websocket.h"

static struct event_base *base;
static struct inbox inbox;
static struct transport transport;
static struct host host;
static char url[64];
static int server;

static void listen_somewhere(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	server = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(eq(int, bind(server, (struct sockaddr *)&at, size), 0));
	cr_assert(eq(int, listen(server, 4), 0));
	cr_assert(eq(int, getsockname(server, (struct sockaddr *)&at, &size), 0));
	snprintf(url, sizeof(url), "ws://127.0.0.1:%d/ws", ntohs(at.sin_port));
}

static struct websocket *open_one(uint64_t id)
{
	static char empty[] = "";
#define X(field) host.field = empty;
	HOST_TEXTS(X)
#undef X
	listen_somewhere();
	host.url = url;
	base = event_base_new();
	inbox_init(&inbox);
	transport_init(&transport, &host);
	struct websocket *websocket = websocket_create(base, &transport, &inbox);
	cr_assert(ne(ptr, websocket, NULL));
	websocket_open(websocket, id, "token");
	return websocket;
}

static void turn(struct websocket *websocket)
{
	const struct timeval wait = {0, 5000};
	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
	websocket_work(websocket, mono_now());
}

/* The GET has come: what is waited for is its answer. */
static void await_request(struct websocket *websocket)
{
	char request[1024];
	int peer = accept(server, NULL, NULL);
	cr_assert(ge(int, peer, 0));
	while (recv(peer, request, sizeof(request), MSG_DONTWAIT) <= 0)
		turn(websocket);
}

Test(websocket, a_network_that_changed_is_not_waited_for_in_an_upgrade, .timeout = 20)
{
	struct agent_event event;
	struct text payload;
	struct websocket *websocket = open_one(7);
	for (int i = 0; i < 20; i++)
		turn(websocket);
	await_request(websocket);
	cr_assert(eq(u32, inbox.count, 0));
	websocket_hurry(websocket, 6); /* another one is meant */
	turn(websocket);
	cr_assert(eq(u32, inbox.count, 0));
	websocket_hurry(websocket, 7);
	turn(websocket);
	cr_assert(eq(u32, inbox.count, 1));
	inbox_take(&inbox, &event, &payload);
	cr_assert(eq(int, (int)event.type, EVENT_CLOSED));
	cr_assert(eq(u64, event.closed.id, 7));
}
