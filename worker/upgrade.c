/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/upgrade.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "proto/base/time.h"
#include "worker/cleaner.h"

#define KEY_RAW_BYTES 16
#define ACCEPT_BYTES  28 /* SHA-1 in base64 */
#define VALUE_BYTES   256
/* RFC 6455, 1.3: what a server that understands WebSockets appends to the key. */
#define MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

void upgrade_url(const char *url, char *to)
{
	bool is_secure = strncmp(url, "wss", 3) == 0;
	const char *rest = strstr(url, "://");
	snprintf(to, URL_BYTES_MAX + 8, "%s%s", is_secure ? "https" : "http", rest ? rest : "://");
}

static int append_place(const char *url, struct bytes *to)
{
	char plain[URL_BYTES_MAX + 8];
	char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
	CURLU *parts = curl_url();
	upgrade_url(url, plain);
	int done = -1;
	errno = EINVAL;
	if (parts && curl_url_set(parts, CURLUPART_URL, plain, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
		curl_url_get(parts, CURLUPART_PORT, &port, 0);
		curl_url_get(parts, CURLUPART_QUERY, &query, 0);
		done = bytes_printf(to, "GET %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path,
			query ? "?" : "", query ? query : "", host, port ? ":" : "",
			port ? port : "");
	}
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_free(query);
	curl_url_cleanup(parts);
	return done;
}

int upgrade_ask(struct upgrade *upgrade, const char *url, const char *token, struct bytes *to)
{
	unsigned char raw[KEY_RAW_BYTES];
	*upgrade = (struct upgrade){0};
	if (RAND_bytes(raw, sizeof(raw)) != 1) {
		errno = EIO;
		return -1;
	}
	EVP_EncodeBlock((unsigned char *)upgrade->key, raw, sizeof(raw));
	if (append_place(url, to) < 0)
		return -1;
	return bytes_printf(to,
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: %s\r\nAuthorization: Bearer %s\r\n"
		"User-Agent: nixfleet-agent/" NIXFLEET_VERSION "\r\n\r\n",
		upgrade->key, token);
}

/* The value of a header line, without space around it. False: there is none, or it is too long. */
static bool find_value(struct text head, const char *name, char value[VALUE_BYTES])
{
	size_t name_bytes = strlen(name);
	const char *end = head.data + head.size;
	for (const char *line = head.data; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t size = (size_t)((stop ? stop : end) - line);
		if (size > name_bytes && line[name_bytes] == ':' &&
			strncasecmp(line, name, name_bytes) == 0) {
			const char *from = line + name_bytes + 1;
			const char *to = line + size;
			while (from < to && (*from == ' ' || *from == '\t'))
				from++;
			while (to > from && (to[-1] == '\r' || to[-1] == ' ' || to[-1] == '\t'))
				to--;
			return text_copy(
				(struct text){from, (uint32_t)(to - from)}, value, VALUE_BYTES);
		}
		line += size + 1;
	}
	return false;
}

static bool is_accepted(const struct upgrade *upgrade, struct text head)
{
	char text[UPGRADE_KEY_BYTES + sizeof(MAGIC)];
	char value[VALUE_BYTES];
	unsigned char digest[EVP_MAX_MD_SIZE];
	char wanted[ACCEPT_BYTES + 1];
	unsigned bytes = 0;
	int size = snprintf(text, sizeof(text), "%s" MAGIC, upgrade->key);
	if (EVP_Digest(text, (size_t)size, digest, &bytes, EVP_sha1(), NULL) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)wanted, digest, (int)bytes);
	return find_value(head, "Sec-WebSocket-Accept", value) && strcmp(value, wanted) == 0;
}

static enum upgrade_verdict refuse(struct upgrade *upgrade, const char *words)
{
	cleaner_line(text_of(words), REASON_BYTES_MAX / 2, true, upgrade->reason,
		sizeof(upgrade->reason));
	return UPGRADE_REFUSED;
}

/* Seconds, or a date. */
static uint64_t read_wait_ms(const char *value)
{
	int64_t now_s = wall_ms(wall_now()) / 1000;
	time_t date = isdigit((unsigned char)*value) ? -1 : curl_getdate(value, NULL);
	if (date >= 0)
		return (int64_t)date > now_s ? ((uint64_t)date - (uint64_t)now_s) * 1000 : 0;
	unsigned long long seconds = strtoull(value, NULL, 10);
	return seconds < UINT32_MAX ? seconds * 1000 : 0;
}

static enum upgrade_verdict read_refusal(struct upgrade *upgrade, struct text head)
{
	char value[VALUE_BYTES];
	char words[VALUE_BYTES];
	if (find_value(head, "Retry-After", value))
		upgrade->retry_after_ms = read_wait_ms(value);
	snprintf(words, sizeof(words), "HTTP %u%s", (unsigned)upgrade->code,
		upgrade->code >= 300 && upgrade->code < 400
			? ": redirects are not followed"
			: ": the dashboard does not open a WebSocket");
	return refuse(upgrade,
		upgrade->code == 401 ? "HTTP 401: the dashboard refuses the token" : words);
}

enum upgrade_verdict upgrade_read(struct upgrade *upgrade, struct text answer)
{
	char first[64];
	char digits[4];
	char value[VALUE_BYTES];
	const char *end = answer.size ? memmem(answer.data, answer.size, "\r\n\r\n", 4) : NULL;
	if (!end)
		return UPGRADE_SHORT;
	upgrade->head_bytes = (uint32_t)(end - answer.data) + 4;
	struct text head = {answer.data, upgrade->head_bytes};
	snprintf(first, sizeof(first), "%.*s",
		(int)(head.size < sizeof(first) ? head.size : sizeof(first) - 1), head.data);
	/* %u would take a sign, too, and make any number of it. */
	if (sscanf(first, "HTTP/1.%*c %3[0-9]", digits) != 1 || strtoul(digits, NULL, 10) < 100)
		return refuse(upgrade, "the answer is not HTTP");
	upgrade->code = strtoul(digits, NULL, 10);
	if (upgrade->code != 101)
		return read_refusal(upgrade, head);
	if (!find_value(head, "Upgrade", value) || strcasecmp(value, "websocket") != 0 ||
		!is_accepted(upgrade, head))
		return refuse(upgrade, "the answer to the upgrade is not a WebSocket's");
	return UPGRADE_GOOD;
}
