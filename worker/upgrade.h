/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The HTTP request that asks for a WebSocket, and what the answer to it means. */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define UPGRADE_KEY_BYTES 24 /* 16 random bytes in base64 */

enum upgrade_verdict {
	UPGRADE_SHORT, /* the head is not all there */
	UPGRADE_GOOD,
	UPGRADE_REFUSED, /* code, retry_after_ms and reason say how */
};

struct upgrade {
	char key[UPGRADE_KEY_BYTES + 1];
	/* of the answer */
	uint32_t head_bytes; /* what follows them are frames */
	uint64_t code;
	uint64_t retry_after_ms;
	char reason[REASON_BYTES_MAX + 1];
};

/* Appends the request for the URL (ws or wss). 0, or -1 with errno. */
int upgrade_ask(struct upgrade *upgrade, const char *url, const char *token, struct bytes *to);
/* Looks at what came so far. */
enum upgrade_verdict upgrade_read(struct upgrade *upgrade, struct text answer);
/* The URL as libcurl connects to it: http and https. to holds URL_BYTES_MAX + 8. */
void upgrade_url(const char *url, char *to);
