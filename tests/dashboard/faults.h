/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The faults that are switched on: what they hit, how often and how. One fault can have several
 * effects, which then come together. Decides nothing about bytes on the wire; spoil.h and socket.h
 * do that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "proto/base/limits.h"

#define FAULTS_MAX           32
#define FAULT_EFFECTS_MAX    4
#define FAULT_BODY_BYTES_MAX 4096
#define FAULT_HUGE_BYTES_MAX (1024ll * 1024 * 1024)
#define FAULT_MS_MAX         3600000
#define FAULT_COUNT_MAX      1000000

/* What an effect can be had by. */
#define FAULT_HTTP   1u /* an answer */
#define FAULT_SOCKET 2u /* a WebSocket connection */

/* NAME, its word, whether the request or frame is acted on first unless the fault's "act" says
 * otherwise, and where it is possible. */
#define FAULT_KINDS(X)                                                                           \
	X(DROP, "drop", false, FAULT_HTTP | FAULT_SOCKET)  /* close without a word */            \
	X(DELAY, "delay", true, FAULT_HTTP | FAULT_SOCKET) /* answer or read after "ms" */       \
	X(TRICKLE, "trickle", true, FAULT_HTTP)            /* one byte every "ms" */             \
	X(CUT, "cut", true, FAULT_HTTP | FAULT_SOCKET)     /* close after "bytes" more sent */   \
	X(CODE, "code", false, FAULT_HTTP)                 /* "status", "retry_after", "body" */ \
	X(GARBAGE, "garbage", false, FAULT_HTTP)           /* bytes that are no HTTP */          \
	X(TRUNCATED, "truncated", true, FAULT_HTTP)        /* a whole answer, half its JSON */   \
	X(DEEP, "deep", false, FAULT_HTTP)                 /* arrays in arrays, 100 deep */      \
	X(TYPES, "types", false, FAULT_HTTP)               /* JSON with other types */           \
	X(HTML, "html", false, FAULT_HTTP)                 /* a page with status 200 */          \
	X(HUGE, "huge", false, FAULT_HTTP)                 /* a string of "bytes" bytes */       \
	X(HALF_OPEN, "half_open", false, FAULT_SOCKET)     /* nothing is read or sent again */   \
	X(STOP_READING, "stop_reading", false, FAULT_SOCKET)                                     \
	X(TEXT_GARBAGE, "text_garbage", true, FAULT_SOCKET) /* a text frame that is no JSON */   \
	X(BINARY, "binary", true, FAULT_SOCKET)             /* a binary frame of 512 bytes */    \
	X(BIG, "big", true, FAULT_SOCKET)                   /* a text frame of "bytes", 600 K */ \
	X(RAW, "raw", true, FAULT_SOCKET)                   /* "body" as a text frame */         \
	X(CLOSE, "close", false, FAULT_SOCKET)              /* with "code"; 0: an empty one */   \
	X(NO_PONG, "no_pong", true, FAULT_SOCKET)           /* pings go unanswered from here */  \
	X(CUT_INPUT, "cut_input", false, FAULT_SOCKET)      /* close after "bytes" more read */  \
	X(EVICT, "evict", false, FAULT_SOCKET) /* as if the host had connected a second time */
enum fault_kind {
#define X(NAME, word, act, where) FAULT_##NAME,
	FAULT_KINDS(X)
#undef X
};

struct fault_effect {
	enum fault_kind kind;
	uint32_t ms;
	uint64_t bytes;
	int status;
	int code;
	int retry_after; /* seconds; -1: none */
	char body[FAULT_BODY_BYTES_MAX];
};

struct fault {
	char match[24];
	char host[HOST_BYTES_MAX + 1]; /* empty: any */
	uint32_t left;
	bool act;
	uint32_t where; /* where every effect is possible */
	uint32_t count;
	struct fault_effect effects[FAULT_EFFECTS_MAX];
};

struct faults {
	struct fault list[FAULTS_MAX]; /* the first that matches hits */
	uint32_t count;
};

/* What can be hit; where is FAULT_HTTP or FAULT_SOCKET. */
struct fault_target {
	uint32_t where;
	const char *match;
	const char *host; /* or NULL */
};

#define FAULT_NAMES_BYTES 96

void faults_init(struct faults *faults);
void faults_clear(struct faults *faults);
/* Reads one as {"match","kind","count",...} says, or an array of such, whose effects come together;
 * match, host and count are the first one's. NULL, or what is wrong with it. */
const char *fault_read(const json_t *json, struct fault *fault);
/* Switches one on. NULL, or what is wrong with it. */
const char *faults_add(struct faults *faults, const struct fault *fault);
/* Takes one hit into *fault; false when none matches. */
bool faults_take(struct faults *faults, const struct fault_target *target, struct fault *fault);
/* The effect of that kind, or NULL. */
const struct fault_effect *fault_effect(const struct fault *fault, enum fault_kind kind);
/* The effects' words, joined by a plus. */
void fault_names(const struct fault *fault, char names[FAULT_NAMES_BYTES]);
