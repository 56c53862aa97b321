/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "worker/multi.h"

#define HTTP_REQUEST_BYTES_MAX (128 * 1024)
#define HTTP_URL_BYTES_MAX     (URL_BYTES_MAX + HTTP_PATH_BYTES_MAX)

enum http_state {
	HTTP_IDLE,
	HTTP_BUSY,
	HTTP_DONE, /* reply is not taken yet */
};

struct http {
	const struct transport *transport;
	struct multi multi;
	CURL *easy;
	struct curl_slist *headers;
	enum http_state state;
	uint64_t id;
	struct bytes sent;     /* the request's body */
	struct bytes received; /* the answer's */
	uint32_t header_bytes;
	bool is_too_large;
	struct http_reply reply;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct http *http = user;
	size_t bytes = size * count;
	if (bytes > ANSWER_BYTES_MAX || bytes_append(&http->received, data, (uint32_t)bytes) < 0) {
		http->is_too_large = true;
		return 0;
	}
	return bytes;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct http *http = user;
	size_t bytes = size * count;
	(void)data;
	if (bytes > HTTP_REPLY_HEADER_BYTES_MAX - http->header_bytes) {
		http->is_too_large = true;
		return 0;
	}
	http->header_bytes += (uint32_t)bytes;
	return bytes;
}

struct http *http_create(struct event_base *base, const struct transport *transport)
{
	struct http *http = calloc(1, sizeof(*http));
	if (!http)
		return NULL;
	http->transport = transport;
	http->easy = curl_easy_init();
	if (!http->easy || !multi_init(&http->multi, base)) {
		curl_easy_cleanup(http->easy);
		free(http);
		errno = ENOMEM;
		return NULL;
	}
	bytes_init(&http->sent, HTTP_REQUEST_BYTES_MAX);
	bytes_init(&http->received, ANSWER_BYTES_MAX);
	return http;
}

static void end_with(struct http *http, const char *why)
{
	http->state = HTTP_DONE;
	http->reply = (struct http_reply){.id = http->id};
	text_copy(text_of(why), http->reply.why, sizeof(http->reply.why));
	bytes_clear(&http->received);
}

static bool set_headers(struct http *http, const char *token)
{
	char line[TOKEN_BYTES_MAX + 32];
	snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
	curl_slist_free_all(http->headers);
	http->headers = NULL;
	const char *const lines[] = {
		line, "Content-Type: application/json", "Accept: application/json", "Expect:"};
	bool is_whole = true;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && is_whole; i++) {
		struct curl_slist *longer = curl_slist_append(http->headers, lines[i]);
		is_whole = longer != NULL;
		http->headers = longer ? longer : http->headers;
	}
	bytes_wipe(line, sizeof(line));
	return is_whole;
}

/* A connection for each request: on one that is used again, libcurl itself sends a request twice
 * when it ends without an answer, and a report would be told twice. The TLS session is kept all the
 * same. */
static bool set_request(struct http *http, const char *path)
{
	char url[HTTP_URL_BYTES_MAX];
	CURL *easy = http->easy;
	size_t base = strlen(http->transport->host->url);
	while (base > 0 && http->transport->host->url[base - 1] == '/')
		base--;
	snprintf(url, sizeof(url), "%.*s%s", (int)base, http->transport->host->url, path);
	return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDS, http->sent.data) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)http->sent.size) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_USERAGENT, "nixfleet-agent/" NIXFLEET_VERSION) ==
		       CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, http) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, http) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK;
}

void http_post(
	struct http *http, uint64_t id, const char *path, const char *token, struct text body)
{
	check(http->state == HTTP_IDLE);
	http->id = id;
	http->header_bytes = 0;
	http->is_too_large = false;
	http->error[0] = '\0';
	bytes_clear(&http->received);
	bytes_clear(&http->sent);
	if (multi_is_clogged(&http->multi)) {
		end_with(http, "the name servers are silent: earlier look-ups still hang");
		return;
	}
	/* The handle keeps its TLS sessions, so that the next handshake is a short one. */
	curl_easy_reset(http->easy);
	if (bytes_append(&http->sent, body.data, body.size) < 0 || !set_headers(http, token) ||
		!transport_set_up(http->transport, http->easy) || !set_request(http, path) ||
		curl_multi_add_handle(http->multi.handle, http->easy) != CURLM_OK) {
		end_with(http, "out of memory");
		return;
	}
	http->state = HTTP_BUSY;
}

static void explain(struct http *http, CURLcode code)
{
	const char *words = http->is_too_large
				    ? "the answer is too large"
				    : multi_explain(&http->multi, http->easy, code, http->error);
	text_copy(text_of(words), http->reply.why, sizeof(http->reply.why));
}

static void finish(struct http *http, CURLcode code)
{
	curl_off_t retry_after_s = 0;
	struct http_reply *reply = &http->reply;
	http->state = HTTP_DONE;
	*reply = (struct http_reply){.id = http->id, .is_whole = code == CURLE_OK};
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &reply->code);
	curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	if (retry_after_s > 0 && retry_after_s < UINT32_MAX)
		reply->retry_after_ms = (uint64_t)retry_after_s * 1000;
	if (code != CURLE_OK)
		explain(http, code);
	reply->body = (struct text){(const char *)http->received.data, http->received.size};
	curl_multi_remove_handle(http->multi.handle, http->easy);
}

void http_hurry(struct http *http, uint64_t id)
{
	curl_off_t sending_us = 0;
	if (http->state != HTTP_BUSY || http->id != id)
		return;
	curl_easy_getinfo(http->easy, CURLINFO_PRETRANSFER_TIME_T, &sending_us);
	if (sending_us > 0)
		return;
	http->multi.lookup_hangs = true; /* perhaps: then its thread is counted */
	curl_multi_remove_handle(http->multi.handle, http->easy);
	end_with(http, "the network changed while connecting");
}

void http_work(struct http *http, struct mono now)
{
	CURLcode code;
	multi_work(&http->multi, now);
	if (http->state == HTTP_BUSY && multi_take(&http->multi, &code))
		finish(http, code);
}

struct mono http_due(const struct http *http)
{
	return http->state == HTTP_DONE ? (struct mono){0} : multi_due(&http->multi);
}

bool http_take(struct http *http, struct http_reply *reply)
{
	if (http->state != HTTP_DONE)
		return false;
	http->state = HTTP_IDLE;
	*reply = http->reply;
	return true;
}
