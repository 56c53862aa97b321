/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Connecting and failing in the same words everywhere. */
#pragma once

#include "supervisor/nfctl/client.h"
#include "supervisor/nfctl/options.h"

/* Connects and asks. NFCTL_GOOD, or NFCTL_NOT_RUNNING or NFCTL_FAILED after one line to standard
 * error; the client is then closed. */
int ask_open(struct client *client, const struct options *options, const struct control *control);
/* The next frame of the answer. True: *control is it. False: the answer is over and *code is
 * NFCTL_GOOD, or NFCTL_FAILED after one line to standard error. */
bool ask_next(struct client *client, struct control *control, int *code);
