/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One HTTP request at a time over libcurl's multi interface on the worker's event loop. Callbacks
 * only note what became ready; http_work() does what they noted. Bodies are bounded both ways.
 *
 * Order: http_create; http_post; http_work after each wait, until http_take gives the reply. Each
 * http_post ends in exactly one reply, also when it could not even begin.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/answer.h"
#include "worker/transport.h"

#define HTTP_REPLY_HEADER_BYTES_MAX (32 * 1024)
#define HTTP_PATH_BYTES_MAX         256

struct event_base;
struct http;

struct http_reply {
	uint64_t id;
	bool is_whole;           /* the answer came to its end; else why says what happened */
	long code;               /* 0 without an answer */
	uint64_t retry_after_ms; /* 0: not said */
	struct text body;        /* lent until the next http_post */
	char why[REASON_BYTES_MAX + 1];
};

/* NULL with errno. base and transport are borrowed. */
struct http *http_create(struct event_base *base, const struct transport *transport);

/* path begins with a slash. Everything is copied. None may be under way. */
void http_post(
	struct http *http, uint64_t id, const char *path, const char *token, struct text body);
/* Gives the request up unless something of it was sent: its answer may be on the way. */
void http_hurry(struct http *http, uint64_t id);
void http_work(struct http *http, struct mono now);
/* When http_work wants to be called though nothing became ready. */
struct mono http_due(const struct http *http);
/* True once for each request. */
bool http_take(struct http *http, struct http_reply *reply);
