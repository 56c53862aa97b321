/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The WebSocket connections: framing, pings, time limits, and what goes wrong on purpose. What the
 * frames mean is session.h's affair. Owns each connection that it was given, SOCKETS_MAX at most.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "tests/dashboard/faults.h"

#define SOCKETS_MAX          64
#define SOCKET_MESSAGE_BYTES (512 * 1024) /* a longer one is answered by a close with 1009 */
#define SOCKET_IDLE_MS       60000        /* without a frame of the agent's: closed */
#define SOCKET_PING_MS       54000
#define SOCKET_CLOSE_MS      2000 /* for the other side's close, then the connection is dropped */
#define SOCKET_GARBAGE_BYTES 512

struct dashboard;
struct evhttp_request;
struct host;
struct socket;

struct sockets {
	struct dashboard *dashboard;
	struct socket *list[SOCKETS_MAX];
	uint64_t made;
};

void sockets_init(struct sockets *sockets, struct dashboard *dashboard);
/* Closes what is still open. Before the HTTP server is freed. */
void sockets_finish(struct sockets *sockets);
/* Takes the connection away from the HTTP server and answers with head, which is the whole 101.
 * 0, or -1 where there is no room: then nothing was taken. */
int sockets_join(
	struct sockets *sockets, struct evhttp_request *http, const char *head, bool has_origin);
/* Sends a message of that type to the host; the payload's reference is taken. false where no
 * connection speaks for it. */
bool sockets_send(
	struct sockets *sockets, const struct host *host, const char *type, json_t *payload);
/* Lets all connections of fault->host, or all, meet the fault. How many did. */
uint32_t sockets_fault(struct sockets *sockets, const struct fault *fault);
/* Drops the connections of that host, without a word. */
void sockets_forget(struct sockets *sockets, const char *host);
