/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A real worker between a supervisor and a dashboard that are both played by the test: it says and
 * hears messages on the worker's descriptor 3, and answers the worker's requests byte by byte.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/channel.h"
#include "proto/message.h"

#define RIG_REQUEST_BYTES_MAX 65536

struct rig {
	char folder[64];
	char url[64];
	char token[32]; /* the shared one */
	int port;
	int listener;
	int flight; /* the recorder's file */
	pid_t worker;
	struct channel channel;
	bool is_gone;                            /* the worker closed the channel */
	int client;                              /* the connection of the last request, or -1 */
	char request[RIG_REQUEST_BYTES_MAX + 1]; /* head and body */
	struct message_hello hello;
};

/* Milliseconds on the monotonic clock. */
uint64_t rig_ms(void);

/* Makes the folder and the listener; hello is filled and may be changed before rig_start. */
void rig_open(struct rig *rig);
/* Makes the channel, of which this process keeps one end; the other is the worker's. */
int rig_connect(struct rig *rig);
/* Starts the worker on its end, which is closed here, and says hello. */
void rig_start_on(struct rig *rig, int end);
/* Both. */
void rig_start(struct rig *rig);
/* Ends the worker by its pid, removes the folder. */
void rig_close(struct rig *rig);
/* rig_start, ready and open. */
void rig_start_open(struct rig *rig);

void rig_say(struct rig *rig, const struct message *message);
/* Raw bytes on the channel. */
void rig_say_bytes(struct rig *rig, const void *data, uint32_t size);
/* The next message that is no pong, lent until the next call. False after ms. */
bool rig_hear(struct rig *rig, struct message *message, uint64_t ms);
/* Fails the test unless the next message is of that type. */
struct message rig_expect(struct rig *rig, enum message_type type);
/* Pings and gives the pong, skipping nothing else; fails the test after a second. */
struct message rig_ping(struct rig *rig);

/* The next request, whole, in rig->request. False after ms. */
bool rig_request(struct rig *rig, uint64_t ms);
/* Fails the test unless the next request is POST to that end of the path. */
void rig_expect_request(struct rig *rig, const char *path);
/* Sends raw bytes as (a part of) the answer, or closes. */
void rig_answer_bytes(struct rig *rig, const char *data, uint32_t size);
void rig_hang_up(struct rig *rig);
/* A whole answer with that status, further header lines (or "") and body. */
void rig_answer(struct rig *rig, int code, const char *headers, const char *body);
/* 200 and what a dashboard says; more is further members, such as ",\"command\":\"pull\"". */
void rig_answer_good(struct rig *rig, const char *more);
/* Answers heartbeats with good until ms have passed; how many there were. */
uint32_t rig_serve(struct rig *rig, uint64_t ms);

/* Waits for the worker to end; its exit code, or 1000 + signal. Fails the test after ms. */
int rig_wait(struct rig *rig, uint64_t ms);
