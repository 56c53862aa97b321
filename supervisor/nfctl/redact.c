/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/redact.h"

#include <stdbool.h>
#include <string.h>

void redact_learn(struct redact *redact, const char *secret)
{
	static const char key[] = "NIXFLEET_TOKEN=";
	if (!secret || redact->count == REDACT_SECRETS_MAX)
		return;
	secret += strspn(secret, " \t\r\n");
	if (strncmp(secret, key, sizeof(key) - 1) == 0)
		secret += sizeof(key) - 1;
	secret += strspn(secret, "'\"");
	size_t size = strcspn(secret, " \t\r\n'\"");
	if (size < REDACT_LEAST_BYTES || size > TOKEN_BYTES_MAX)
		return;
	memcpy(redact->secrets[redact->count], secret, size);
	redact->secrets[redact->count++][size] = '\0';
}

static void cover_all(char *data, size_t size, const char *secret)
{
	size_t length = strlen(secret);
	char *end = data + size;
	char *at;
	while ((at = memmem(data, (size_t)(end - data), secret, length)) != NULL) {
		memset(at, '*', length);
		data = at + length;
	}
}

/* The word after each mark. */
static void cover_after(char *data, size_t size, const char *mark)
{
	size_t length = strlen(mark);
	char *end = data + size;
	char *at;
	while ((at = memmem(data, (size_t)(end - data), mark, length)) != NULL) {
		for (at += length; at<end && * at> ' ' && !strchr("\"',", *at); at++)
			*at = '*';
		data = at;
	}
}

static bool is_authority(char byte)
{
	return (unsigned char)byte > ' ' && !strchr("/?#\"'", byte);
}

/* The last @ before the path. */
static char *find_account_end(char *start, char *end)
{
	char *account_end = NULL;
	for (char *at = start; at < end && is_authority(*at); at++) {
		if (*at == '@')
			account_end = at;
	}
	return account_end;
}

static void cover_accounts(char *data, size_t size)
{
	char *end = data + size;
	char *at;
	while ((at = memmem(data, (size_t)(end - data), "://", 3)) != NULL) {
		data = at + 3;
		char *account_end = find_account_end(data, end);
		if (account_end)
			memset(data, '*', (size_t)(account_end - data));
	}
}

void redact(const struct redact *redact, char *data, size_t size)
{
	for (uint32_t i = 0; i < redact->count; i++)
		cover_all(data, size, redact->secrets[i]);
	cover_after(data, size, "NIXFLEET_TOKEN=");
	cover_after(data, size, "Bearer ");
	cover_accounts(data, size);
}
