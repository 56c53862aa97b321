/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/multi.h"

#include <event2/event.h>

#include "worker/platform.h"

#define MULTI_TIMER_TURNS_MAX 8

static void on_ready(evutil_socket_t fd, short what, void *data)
{
	struct multi_socket *socket = data;
	(void)fd;
	if (what & EV_READ)
		socket->ready |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		socket->ready |= CURL_CSELECT_OUT;
}

static struct multi_socket *take_socket(struct multi *multi, curl_socket_t fd)
{
	for (uint32_t i = 0; i < MULTI_SOCKETS_MAX; i++) {
		if (!multi->sockets[i].event) {
			multi->sockets[i] = (struct multi_socket){.multi = multi, .fd = fd};
			return &multi->sockets[i];
		}
	}
	return NULL;
}

static void release_socket(struct multi_socket *socket)
{
	if (!socket)
		return;
	if (socket->event)
		event_free(socket->event);
	*socket = (struct multi_socket){0};
}

/* libcurl says what it waits for on which socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	struct multi *multi = data;
	struct multi_socket *socket = known;
	short wanted = EV_PERSIST;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		release_socket(socket);
		curl_multi_assign(multi->handle, fd, NULL);
		return 0;
	}
	if (!socket)
		socket = take_socket(multi, fd);
	if (!socket)
		return -1;
	if (what & CURL_POLL_IN)
		wanted |= EV_READ;
	if (what & CURL_POLL_OUT)
		wanted |= EV_WRITE;
	if (socket->event)
		event_free(socket->event);
	socket->event = event_new(multi->base, fd, wanted, on_ready, socket);
	curl_multi_assign(multi->handle, fd, socket->event ? socket : NULL);
	return socket->event && event_add(socket->event, NULL) == 0 ? 0 : -1;
}

static int on_timer(CURLM *handle, long wait_ms, void *data)
{
	struct multi *multi = data;
	(void)handle;
	multi->timer = wait_ms < 0 ? MONO_NEVER : mono_after(mono_now(), (uint64_t)wait_ms);
	return 0;
}

bool multi_init(struct multi *multi, struct event_base *base)
{
	*multi = (struct multi){.base = base, .timer = MONO_NEVER, .handle = curl_multi_init()};
	bool done =
		multi->handle &&
		curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi) == CURLM_OK &&
		curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
		curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi) == CURLM_OK &&
		curl_multi_setopt(multi->handle, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK;
	if (!done)
		multi_finish(multi);
	return done;
}

void multi_finish(struct multi *multi)
{
	curl_multi_cleanup(multi->handle);
	multi->handle = NULL;
}

void multi_work(struct multi *multi, struct mono now)
{
	int running;
	for (uint32_t i = 0; i < MULTI_SOCKETS_MAX; i++) {
		struct multi_socket *socket = &multi->sockets[i];
		int ready = socket->ready;
		socket->ready = 0;
		if (socket->event && ready)
			curl_multi_socket_action(multi->handle, socket->fd, ready, &running);
	}
	for (int i = 0; i < MULTI_TIMER_TURNS_MAX && mono_reached(now, multi->timer); i++) {
		multi->timer = MONO_NEVER;
		curl_multi_socket_action(multi->handle, CURL_SOCKET_TIMEOUT, 0, &running);
	}
}

bool multi_take(struct multi *multi, CURLcode *code)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(multi->handle, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE) {
			*code = message->data.result;
			return true;
		}
	}
	return false;
}

struct mono multi_due(const struct multi *multi)
{
	return multi->timer;
}

bool multi_is_clogged(struct multi *multi)
{
	uint32_t threads = multi->lookup_hangs ? platform_threads() : 0;
	if (threads <= 1)
		multi->lookup_hangs = false;
	return threads > MULTI_LOOKUPS_HANGING_MAX;
}

const char *multi_explain(struct multi *multi, CURL *easy, CURLcode code, const char *error)
{
	curl_off_t found_us = 0;
	if (code == CURLE_OPERATION_TIMEDOUT) {
		curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &found_us);
		if (found_us == 0) {
			multi->lookup_hangs = true;
			return "no answer from the name servers";
		}
	}
	return error[0] ? error : curl_easy_strerror(code);
}
