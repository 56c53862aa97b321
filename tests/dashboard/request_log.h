/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One JSON line for each request and each frame, written at once and by one write(), so that a
 * reader sees whole lines only. Owns the descriptor. Never writes a token: it is not given one.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "proto/base/time.h"

struct request_log {
	int fd; /* -1: no log */
};

struct request_log_line {
	struct mono now;
	const char *method;
	const char *path;
	const char *host;    /* or NULL */
	const char *auth;    /* shared, own, none or bad */
	const json_t *body;  /* or NULL */
	int status;          /* 0: no answer was given */
	const char *command; /* handed out, or NULL */
	const char *fault;   /* its kind, or NULL */
	uint64_t connection; /* a WebSocket frame's; 0: a request */
	bool token_given;
};

/* Appends to the file at path; NULL for none. 0, or -1 with errno. */
int request_log_open(struct request_log *log, const char *path);
void request_log_close(struct request_log *log);
/* A line that cannot be written is reported on standard error, once a line. */
void request_log_write(struct request_log *log, const struct request_log_line *line);
