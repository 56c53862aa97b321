/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Shorter ones are words that stand everywhere. */
#define HIDDEN_BYTES_MIN 6

static void wipe(char **token)
{
	if (*token)
		bytes_wipe(*token, strlen(*token));
	free(*token);
	*token = NULL;
}

int tokens_init(struct tokens *tokens, struct text own, struct text shared)
{
	tokens->own = strndup(own.data, own.size);
	tokens->shared = strndup(shared.data, shared.size);
	if (tokens->own && tokens->shared)
		return 0;
	tokens_finish(tokens);
	errno = ENOMEM;
	return -1;
}

void tokens_finish(struct tokens *tokens)
{
	wipe(&tokens->own);
	wipe(&tokens->shared);
}

int tokens_take(struct tokens *tokens, const char *own)
{
	char *copy = strdup(own);
	if (!copy)
		return -1;
	wipe(&tokens->own);
	tokens->own = copy;
	return 0;
}

const char *tokens_get(const struct tokens *tokens, uint64_t token)
{
	const char *found = token == TOKEN_OWN ? tokens->own : tokens->shared;
	return found ? found : "";
}

static void hide(const char *token, char *text)
{
	size_t size = token ? strlen(token) : 0;
	if (size < HIDDEN_BYTES_MIN)
		return;
	for (char *at = strstr(text, token); at; at = strstr(at + size, token))
		memset(at, '*', size);
}

void tokens_hide(const struct tokens *tokens, char *text)
{
	hide(tokens->own, text);
	hide(tokens->shared, text);
}
