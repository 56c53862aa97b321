/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The control socket. Anyone who can reach it may ask for status; root, the agent's own user and
 * members of the group nixfleet may read output and change things. Status is answered from memory
 * at once; what needs the disk is answered by a child.
 */
#pragma once

#include "supervisor/shell.h"

/* Binds <runtime>/control.sock. A socket that a dead agent left is replaced. NULL with errno and
 * the call in *call. */
struct control_server *control_create(struct shell *shell, const char **call);
/* Closes everything and removes the socket. */
void control_destroy(struct control_server *control);
/* The answer to a client that asked to run or cancel something; a client that went is forgotten. */
void control_reply(struct control_server *control, uint64_t client, bool is_good, bool is_queued,
	struct text text);
/* The same with a sentence: the end of the answer. */
void control_reply_said(
	struct control_server *control, uint64_t client, bool is_good, struct text sentence);
/* Reads, answers and accepts what the callbacks noted. */
void control_work(struct control_server *control);
/* Ends those that say nothing; when the next of them is due. */
struct mono control_due(struct control_server *control, struct mono now);
