/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One answer: made by a route, perhaps changed by a fault, sent once. Owns its body. */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "tests/dashboard/faults.h"

struct evhttp_request;

#define REPLY_JSON        "application/json"
#define REPLY_HTML        "text/html; charset=utf-8"
#define REPLY_TEXT        "text/plain; charset=utf-8"
#define REPLY_DEEP_LEVELS 100

struct reply {
	int status;
	const char *type;
	int retry_after;   /* seconds; -1: none */
	const char *allow; /* the methods that are, of a 405; or NULL */
	char *body;        /* text from malloc, or NULL for none */
};

void reply_finish(struct reply *reply);
/* Each replaces what was there. reply_json takes the reference. */
void reply_json(struct reply *reply, int status, json_t *json);
void reply_text(struct reply *reply, int status, const char *type, const char *text);
/* {"detail": detail}, as the original words its refusals. */
void reply_refuse(struct reply *reply, int status, const char *detail);

/* Changes what is said: for the kinds that are whole answers. Others leave it alone. */
void reply_apply(struct reply *reply, const struct fault *fault);
/* The answer's bytes as they would go over the wire, from malloc, closing the connection; *size
 * says how many. NULL without memory. */
char *reply_raw(const struct reply *reply, size_t *size);
void reply_send(const struct reply *reply, struct evhttp_request *http);
