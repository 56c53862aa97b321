/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "proto/base/check.h"
#include "worker/platform.h"

#define HTTP_SOCKETS_MAX       8
#define HTTP_TIMER_TURNS_MAX   8
#define HTTP_REQUEST_BYTES_MAX (128 * 1024)
#define HTTP_URL_BYTES_MAX     (URL_BYTES_MAX + HTTP_PATH_BYTES_MAX)
/* A look-up that was given up goes on in its thread as long as the name servers are silent. */
#define HTTP_LOOKUPS_HANGING_MAX 4

enum http_state {
	HTTP_IDLE,
	HTTP_BUSY,
	HTTP_DONE, /* reply is not taken yet */
};

struct http_socket {
	struct http *http;
	struct event *event; /* NULL: free */
	curl_socket_t fd;
	int ready; /* CURL_CSELECT_… */
};

struct http {
	struct event_base *base;
	const struct transport *transport;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	enum http_state state;
	struct mono timer;
	struct http_socket sockets[HTTP_SOCKETS_MAX];
	uint64_t id;
	struct bytes sent;     /* the request's body */
	struct bytes received; /* the answer's */
	uint32_t header_bytes;
	bool is_too_large;
	bool lookup_hangs; /* one was given up */
	struct http_reply reply;
	char error[CURL_ERROR_SIZE];
};

static void on_ready(evutil_socket_t fd, short what, void *data)
{
	struct http_socket *socket = data;
	(void)fd;
	if (what & EV_READ)
		socket->ready |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		socket->ready |= CURL_CSELECT_OUT;
}

static struct http_socket *take_socket(struct http *http, curl_socket_t fd)
{
	for (uint32_t i = 0; i < HTTP_SOCKETS_MAX; i++) {
		if (!http->sockets[i].event) {
			http->sockets[i] = (struct http_socket){.http = http, .fd = fd};
			return &http->sockets[i];
		}
	}
	return NULL;
}

static void release_socket(struct http_socket *socket)
{
	if (!socket)
		return;
	if (socket->event)
		event_free(socket->event);
	*socket = (struct http_socket){0};
}

/* libcurl says what it waits for on which socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	struct http *http = data;
	struct http_socket *socket = known;
	short wanted = EV_PERSIST;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		release_socket(socket);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (!socket)
		socket = take_socket(http, fd);
	if (!socket)
		return -1;
	if (what & CURL_POLL_IN)
		wanted |= EV_READ;
	if (what & CURL_POLL_OUT)
		wanted |= EV_WRITE;
	if (socket->event)
		event_free(socket->event);
	socket->event = event_new(http->base, fd, wanted, on_ready, socket);
	curl_multi_assign(http->multi, fd, socket->event ? socket : NULL);
	return socket->event && event_add(socket->event, NULL) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long wait_ms, void *data)
{
	struct http *http = data;
	(void)multi;
	http->timer = wait_ms < 0 ? MONO_NEVER : mono_after(mono_now(), (uint64_t)wait_ms);
	return 0;
}

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

static bool set_up_multi(struct http *http)
{
	return curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
	       curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
	       curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
	       curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
	       curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK;
}

struct http *http_create(struct event_base *base, const struct transport *transport)
{
	struct http *http = calloc(1, sizeof(*http));
	if (!http)
		return NULL;
	http->base = base;
	http->transport = transport;
	http->timer = MONO_NEVER;
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	if (!http->multi || !http->easy || !set_up_multi(http)) {
		curl_easy_cleanup(http->easy);
		curl_multi_cleanup(http->multi);
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
	explicit_bzero(line, sizeof(line));
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

static bool too_many_lookups(struct http *http)
{
	uint32_t threads = http->lookup_hangs ? platform_threads() : 0;
	if (threads <= 1)
		http->lookup_hangs = false;
	return threads > HTTP_LOOKUPS_HANGING_MAX;
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
	if (too_many_lookups(http)) {
		end_with(http, "the name servers are silent: earlier look-ups still hang");
		return;
	}
	/* The handle keeps its TLS sessions, so that the next handshake is a short one. */
	curl_easy_reset(http->easy);
	if (bytes_append(&http->sent, body.data, body.size) < 0 || !set_headers(http, token) ||
		!transport_set_up(http->transport, http->easy) || !set_request(http, path) ||
		curl_multi_add_handle(http->multi, http->easy) != CURLM_OK) {
		end_with(http, "out of memory");
		return;
	}
	http->state = HTTP_BUSY;
}

static void explain(struct http *http, CURLcode code)
{
	curl_off_t found_us = 0;
	const char *words = http->error[0] ? http->error : curl_easy_strerror(code);
	if (http->is_too_large)
		words = "the answer is too large";
	else if (code == CURLE_OPERATION_TIMEDOUT) {
		curl_easy_getinfo(http->easy, CURLINFO_NAMELOOKUP_TIME_T, &found_us);
		if (found_us == 0) {
			http->lookup_hangs = true;
			words = "no answer from the name servers";
		}
	}
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
	curl_multi_remove_handle(http->multi, http->easy);
}

void http_hurry(struct http *http, uint64_t id)
{
	curl_off_t sending_us = 0;
	if (http->state != HTTP_BUSY || http->id != id)
		return;
	curl_easy_getinfo(http->easy, CURLINFO_PRETRANSFER_TIME_T, &sending_us);
	if (sending_us > 0)
		return;
	http->lookup_hangs = true; /* perhaps: then its thread is counted */
	curl_multi_remove_handle(http->multi, http->easy);
	end_with(http, "the network changed while connecting");
}

static void work_sockets(struct http *http)
{
	int running;
	for (uint32_t i = 0; i < HTTP_SOCKETS_MAX; i++) {
		struct http_socket *socket = &http->sockets[i];
		int ready = socket->ready;
		socket->ready = 0;
		if (socket->event && ready)
			curl_multi_socket_action(http->multi, socket->fd, ready, &running);
	}
}

void http_work(struct http *http, struct mono now)
{
	int running;
	int left;
	CURLMsg *message;
	work_sockets(http);
	for (int i = 0; i < HTTP_TIMER_TURNS_MAX && mono_reached(now, http->timer); i++) {
		http->timer = MONO_NEVER;
		curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE && http->state == HTTP_BUSY) {
			finish(http, message->data.result);
			return;
		}
	}
}

struct mono http_due(const struct http *http)
{
	return http->state == HTTP_DONE ? (struct mono){0} : http->timer;
}

bool http_take(struct http *http, struct http_reply *reply)
{
	if (http->state != HTTP_DONE)
		return false;
	http->state = HTTP_IDLE;
	*reply = http->reply;
	return true;
}
