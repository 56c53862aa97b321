/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The live view: server-sent events, one with the whole state after each change, at most one each
 * EVENTS_GAP_MS. Owns the connections it was given. A reader that does not read is closed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EVENTS_CLIENTS_MAX 32
#define EVENTS_GAP_MS      50
#define EVENTS_TICK_MS     10000 /* so that a host that fell silent turns grey */
#define EVENTS_UNREAD_MAX  (8 * 1024 * 1024)

struct dashboard;
struct event;
struct events_client;
struct evhttp_request;

struct events {
	struct dashboard *dashboard;
	struct event *timer;
	bool changed;
	struct events_client *clients[EVENTS_CLIENTS_MAX];
};

/* 0, or -1 without memory. */
int events_init(struct events *events, struct dashboard *dashboard);
/* Before the HTTP server is freed. */
void events_finish(struct events *events);
/* Takes the connection away from the HTTP server. 0, or -1 where there is no room: then nothing
 * was taken. */
int events_join(struct events *events, struct evhttp_request *http);
/* Something changed: the readers hear of it soon. */
void events_touch(struct events *events);
