/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From an HTTP request to a WebSocket, as RFC 6455 has it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <openssl/evp.h>

#include "tests/dashboard/routes.h"

#define UPGRADE_KEY_BYTES 24
static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* Whether a header is a list with that word in it, in any case. */
static bool header_has(struct request *request, const char *name, const char *word)
{
	const char *value = evhttp_find_header(
		evhttp_request_get_input_headers(request->http), name);
	return value && strcasestr(value, word) != NULL;
}

/* The answer to a key: 28 characters and a terminator. False where libcrypto refuses. */
static bool accept_value(const char *key, char accept[32])
{
	char text[UPGRADE_KEY_BYTES + sizeof(magic)];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	int length = snprintf(text, sizeof(text), "%s%s", key, magic);
	if (EVP_Digest(text, (size_t)length, digest, &size, EVP_sha1(), NULL) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)accept, digest, (int)size);
	return true;
}

void agent_upgrade(struct request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const char *key = evhttp_find_header(headers, "Sec-WebSocket-Key");
	const char *version = evhttp_find_header(headers, "Sec-WebSocket-Version");
	char accept[32], head[192];

	if (request->dashboard->options.token && request->auth != AUTH_SHARED) {
		reply_refuse(&request->reply, 401, "Invalid token");
		return;
	}
	if (!header_has(request, "Upgrade", "websocket") ||
		!header_has(request, "Connection", "upgrade") || !key ||
		strlen(key) != UPGRADE_KEY_BYTES || !version || strcmp(version, "13") != 0) {
		reply_refuse(&request->reply, 400, "No WebSocket upgrade");
		return;
	}
	if (!accept_value(key, accept))
		return;
	snprintf(head, sizeof(head),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n\r\n",
		accept);
	bool has_origin = evhttp_find_header(headers, "Origin") != NULL;
	if (sockets_join(&request->dashboard->sockets, request->http, head, has_origin) == 0)
		request->taken = true;
	else
		reply_refuse(&request->reply, 503, "too many connections");
}
