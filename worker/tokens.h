/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The tokens: the only place that holds them. The core names them; requests borrow them; nothing of
 * them reaches a log, an event or a recording.
 */
#pragma once

#include "proto/base/bytes.h"
#include "worker/core/words.h"

struct tokens {
	char *own;
	char *shared;
};

/* 0, or -1 with errno (ENOMEM). */
int tokens_init(struct tokens *tokens, struct text own, struct text shared);
/* Overwrites and frees. */
void tokens_finish(struct tokens *tokens);
/* A new own one, handed out by the dashboard. 0, or -1 with errno and the old one in place. */
int tokens_take(struct tokens *tokens, const char *own);
/* Lent until the next change; "" where there is none. */
const char *tokens_get(const struct tokens *tokens, uint64_t token);
/* Overwrites each token that stands in text with asterisks: servers repeat what they were sent. */
void tokens_hide(const struct tokens *tokens, char *text);
