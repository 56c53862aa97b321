/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * libcurl's multi interface on the worker's event loop. libcurl forbids being called from its own
 * callbacks, so these only note what became ready; multi_work() does what they noted.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "proto/base/time.h"

#define MULTI_SOCKETS_MAX 8
/* A look-up that was given up goes on in its thread as long as the name servers are silent. */
#define MULTI_LOOKUPS_HANGING_MAX 4

struct event_base;
struct event;
struct multi;

struct multi_socket {
	struct multi *multi;
	struct event *event; /* NULL: free */
	curl_socket_t fd;
	int ready; /* CURL_CSELECT_… */
};

struct multi {
	struct event_base *base; /* borrowed */
	CURLM *handle;           /* owned */
	struct mono timer;
	bool lookup_hangs; /* one was given up */
	struct multi_socket sockets[MULTI_SOCKETS_MAX];
};

/* False when libcurl lacks memory. multi must not move afterwards. */
bool multi_init(struct multi *multi, struct event_base *base);
void multi_finish(struct multi *multi);
/* Lets libcurl do what it can do now. */
void multi_work(struct multi *multi, struct mono now);
/* A transfer that ended: true, and *code says how. Once for each. */
bool multi_take(struct multi *multi, CURLcode *code);
/* When multi_work wants to be called though nothing became ready. */
struct mono multi_due(const struct multi *multi);
/* Whether so many look-ups hang that no more may be begun. */
bool multi_is_clogged(struct multi *multi);
/* The sentence for a transfer that failed; notes a look-up that hangs. error: libcurl's own words,
 * may be empty. */
const char *multi_explain(struct multi *multi, CURL *easy, CURLcode code, const char *error);
