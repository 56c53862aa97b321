/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Answers that go wrong on the wire: late, byte by byte, cut, not at all, not HTTP, or far too
 * large. Takes the connection away from the HTTP server and closes it at the end. Owns each
 * connection it has taken, SPOILS_MAX at most.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/dashboard/faults.h"
#include "tests/dashboard/reply.h"

#define SPOILS_MAX          64
#define SPOIL_GARBAGE_BYTES 512
#define SPOIL_PIECE_BYTES   16384 /* of a huge body: no more is in memory */

struct event_base;
struct evhttp_request;
struct spoil;

struct spoils {
	struct event_base *base;
	struct spoil *list[SPOILS_MAX];
};

void spoils_init(struct spoils *spoils, struct event_base *base);
/* Closes what is still open. Before the HTTP server is freed. */
void spoils_finish(struct spoils *spoils);
/* Whether one of its effects is of these; the others make whole answers, see reply_apply. */
bool spoil_wants(const struct fault *fault);
/* Answers the request that way. 0, or -1 where there is no room: then nothing was taken. */
int spoil_send(struct spoils *spoils, struct evhttp_request *http, const struct fault *fault,
	const struct reply *reply);
