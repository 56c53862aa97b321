/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One WebSocket to the dashboard: libcurl connects (TLS, pin, proxies as for HTTP), the upgrade is
 * asked for here, wslay frames. What the dashboard says becomes events in the inbox; messages that
 * are too large, binary or no JSON are passed over without being kept.
 *
 * Order: websocket_create; websocket_open; websocket_work after each wait. Each websocket_open ends
 * in one event closed, before which one event connected may come.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/inbox.h"
#include "worker/transport.h"

#define WEBSOCKET_UPGRADE_MS     10000
#define WEBSOCKET_HANDSHAKE_MS   100 /* TLS is asked so often whether it is through */
#define WEBSOCKET_HEAD_BYTES_MAX (16 * 1024)
#define WEBSOCKET_NOTICE_BYTES   (64 * 1024) /* of the dashboard's messages: more is passed over */
#define WEBSOCKET_OUT_BYTES_MAX  (1024 * 1024) /* what waits to be sent */
#define WEBSOCKET_STREAM_BYTES   (64 * 1024)   /* output is added only below this */
#define WEBSOCKET_CLOSE_EVICTED  1005          /* a close frame without a code */
#define WEBSOCKET_CLOSE_GOING    1001

struct event_base;
struct websocket;

/* NULL with errno. All are borrowed. */
struct websocket *websocket_create(
	struct event_base *base, const struct transport *transport, struct inbox *inbox);
/* Connects. None may be open or on its way. */
void websocket_open(struct websocket *websocket, uint64_t id, const char *token);
/* Ends it, with a close frame where one can still be sent; does nothing where there is none. */
void websocket_close(struct websocket *websocket, uint64_t id, struct text reason);
bool websocket_is_open(const struct websocket *websocket);
/* Queues a text message. False where it is not open or has no room. */
bool websocket_say(struct websocket *websocket, struct text message);
/* Queues a ping that the dashboard answers with the same number. */
bool websocket_ping(struct websocket *websocket, uint64_t sequence);
/* The bytes that wait to be sent. */
uint32_t websocket_waiting(const struct websocket *websocket);
/* Whether bytes of the dashboard's wake the loop. Said before each wait. */
void websocket_listen(struct websocket *websocket, bool on);
void websocket_work(struct websocket *websocket, struct mono now);
/* Sends what was queued since, as far as it goes. */
void websocket_flush(struct websocket *websocket);
struct mono websocket_due(const struct websocket *websocket);
/* Gives a connection up that is still being made, or waits for its upgrade: the network changed. */
void websocket_hurry(struct websocket *websocket, uint64_t id);
