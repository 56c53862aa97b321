/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Frames over a non-blocking stream socket or pipe, with bounded memory both ways. It never blocks,
 * never waits and does not own an event loop: who has one calls channel_receive() when the
 * descriptor is readable and channel_flush() when it is writable.
 */
#pragma once

#include "proto/frame.h"

enum channel_state {
	CHANNEL_OPEN,
	CHANNEL_ENDED,    /* end of file */
	CHANNEL_BROKEN,   /* errno said so */
	CHANNEL_VIOLATED, /* a frame too big or damaged */
};

struct channel {
	int fd; /* owned */
	enum channel_state state;
	uint32_t consumed; /* bytes of in that were handed out */
	struct bytes in;
	struct bytes out;
};

/* Takes the descriptor, which must be non-blocking. */
void channel_init(struct channel *channel, int fd);
/* Closes and frees; fd is -1 then. Payloads that were lent are gone. */
void channel_finish(struct channel *channel);

/* Reads once what is there. Payloads lent before are gone. False when no more will ever come; what
 * is in memory can still be taken. */
bool channel_receive(struct channel *channel);
/* The next payload, lent until channel_receive; false when there is no whole frame. */
bool channel_next(struct channel *channel, struct text *payload);

/* The buffer to encode frames into; channel_flush() sends it. At most CHANNEL_QUEUE_BYTES_MAX wait:
 * encoding more fails with EMSGSIZE. */
struct bytes *channel_out(struct channel *channel);
/* Sends what it can. False when the other end is gone. */
bool channel_flush(struct channel *channel);
/* Whether something still waits to be sent. */
bool channel_is_sending(const struct channel *channel);
