/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One connection to the control socket. Blocking, but no wait is without an end. */
#pragma once

#include "proto/channel.h"
#include "proto/control.h"

#define CLIENT_WAIT_MS  70000 /* a store child is given up after 60 s: that answer should come */
#define CLIENT_QUICK_MS 5000  /* for what the supervisor answers alone and at once */

struct client {
	struct channel channel;
	int wait_ms;  /* for each frame; CLIENT_WAIT_MS or, by the question, CLIENT_QUICK_MS */
	int files[2]; /* descriptors that came with CONTROL_FILES; -1: none; owned */
};

/* Connects to <runtime>/control.sock. path NULL: NIXFLEET_RUNTIME_DIR, RUNTIME_DIRECTORY, then the
 * places where an agent of this account or of root has it. 0, or -1 with errno of the last try;
 * tried (PATH_BYTES_MAX + 1) names it. */
int client_open(struct client *client, const char *path, char *tried);
void client_close(struct client *client);
/* 0, or -1 with errno. */
int client_ask(struct client *client, const struct control *control);
/* Waits for the next frame; texts are lent until the next call. 0, or -1 with errno (ECONNRESET:
 * the agent went; ETIMEDOUT; EPROTO: not understood). */
int client_next(struct client *client, struct control *control);
