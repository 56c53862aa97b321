/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The faults that are switched on: which requests they hit, how often and how. Decides nothing
 * about bytes on the wire; spoil.h does that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define FAULTS_MAX           32
#define FAULT_BODY_BYTES_MAX 4096
#define FAULT_HUGE_BYTES_MAX (1024ll * 1024 * 1024)
#define FAULT_MS_MAX         3600000
#define FAULT_COUNT_MAX      1000000

/* NAME, its word, and whether the request is acted on first unless the fault's "act" says
 * otherwise. */
#define FAULT_KINDS(X)                                                            \
	X(DROP, "drop", false)          /* close without an answer */             \
	X(DELAY, "delay", true)         /* answer after "ms" */                   \
	X(TRICKLE, "trickle", true)     /* one byte every "ms" */                 \
	X(CUT, "cut", true)             /* close after "bytes" of the answer */   \
	X(CODE, "code", false)          /* "status", "retry_after", "body" */     \
	X(GARBAGE, "garbage", false)    /* bytes that are no HTTP */              \
	X(TRUNCATED, "truncated", true) /* a whole answer with half its JSON */   \
	X(DEEP, "deep", false)          /* arrays in arrays, 100 deep */          \
	X(TYPES, "types", false)        /* JSON with other types than promised */ \
	X(HTML, "html", false)          /* a page with status 200 */              \
	X(HUGE, "huge", false)          /* a string of "bytes" bytes */
enum fault_kind {
#define X(NAME, word, act) FAULT_##NAME,
	FAULT_KINDS(X)
#undef X
};

struct fault {
	char match[16];
	uint32_t left;
	enum fault_kind kind;
	bool act;
	uint32_t ms;
	uint64_t bytes;
	int status;
	int retry_after; /* seconds; -1: none */
	char body[FAULT_BODY_BYTES_MAX];
};

struct faults {
	struct fault list[FAULTS_MAX]; /* the first that matches hits */
	uint32_t count;
};

void faults_init(struct faults *faults);
void faults_clear(struct faults *faults);
/* Adds one as {"match","kind","count",...} says. NULL, or what is wrong with it. */
const char *faults_add(struct faults *faults, const json_t *json);
/* Takes one hit for that kind of request into *fault; false when none matches. */
bool faults_take(struct faults *faults, const char *request, struct fault *fault);
const char *fault_name(enum fault_kind kind);
