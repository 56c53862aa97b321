/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/rand.h>
#include <wslay/wslay.h>

#include "proto/base/check.h"
#include "proto/base/log.h"
#include "worker/cleaner.h"
#include "worker/multi.h"
#include "worker/notice.h"
#include "worker/upgrade.h"

#define READ_BYTES         (16 * 1024)
#define READS_A_TURN       8
#define SEND_BYTES_MAX     (64 * 1024)
#define RANDOM_BYTES       1024
#define SEQUENCE_BYTES     8
#define CONTROL_HEAD_BYTES 6 /* of a frame of ours: opcode, length, mask */

/* Given to frames at once: what is in there becomes events whether the inbox has room or not. Of
 * all messages a pong has the largest event for its size. */
#define INPUT_BYTES      4096
#define PONG_BYTES       (2 + SEQUENCE_BYTES)
#define PONG_EVENT_BYTES (FRAME_HEAD_BYTES + 11)
static_assert(INPUT_BYTES / PONG_BYTES * PONG_EVENT_BYTES < INBOX_BYTES_MAX / 8,
	"an eighth is left for what the turns add");

enum websocket_state {
	WEBSOCKET_IDLE,
	WEBSOCKET_CONNECTING,
	WEBSOCKET_UPGRADING,
	WEBSOCKET_OPEN,
	WEBSOCKET_ENDED, /* why it ended is not told yet */
};

struct websocket {
	const struct transport *transport;
	struct inbox *inbox;
	struct multi multi;
	enum websocket_state state;
	uint64_t id;
	CURL *easy;
	struct event *readable;
	struct event *writable;
	bool is_readable;
	bool is_writable;
	bool wants_write;      /* nothing more can be sent now */
	struct mono due;       /* connecting and upgrading */
	struct mono handshake; /* then it is looked whether TLS is through with one */
	struct upgrade upgrade;
	wslay_event_context_ptr frames;
	struct bytes in;  /* read and not given to frames */
	uint32_t in_read; /* of these */
	struct bytes out;
	uint32_t out_sent;
	struct bytes message; /* of the dashboard's, as it comes in */
	uint8_t opcode;
	bool is_skipped;
	uint8_t random[RANDOM_BYTES];
	uint32_t random_left;
	/* How it ended. */
	uint64_t code, close_code, retry_after_ms;
	char reason[REASON_BYTES_MAX + 1];
	char error[CURL_ERROR_SIZE];
	char token[TOKEN_BYTES_MAX + 1]; /* until the upgrade is asked for */
};

/* ---- wslay's callbacks ---- */

static ssize_t take_input(
	wslay_event_context_ptr frames, uint8_t *to, size_t room, int flags, void *data)
{
	struct websocket *websocket = data;
	uint32_t left = websocket->in.size - websocket->in_read;
	(void)flags;
	if (left == 0 || !inbox_has_room(websocket->inbox)) {
		wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	uint32_t size = left < INPUT_BYTES ? left : INPUT_BYTES;
	size = size < room ? size : (uint32_t)room;
	memcpy(to, websocket->in.data + websocket->in_read, size);
	websocket->in_read += size;
	return (ssize_t)size;
}

static ssize_t put_output(
	wslay_event_context_ptr frames, const uint8_t *from, size_t size, int flags, void *data)
{
	struct websocket *websocket = data;
	(void)flags;
	if (size > WEBSOCKET_OUT_BYTES_MAX ||
		bytes_append(&websocket->out, from, (uint32_t)size) < 0) {
		wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)size;
}

static int make_mask(wslay_event_context_ptr frames, uint8_t *to, size_t size, void *data)
{
	struct websocket *websocket = data;
	(void)frames;
	if (websocket->random_left < size) {
		if (RAND_bytes(websocket->random, RANDOM_BYTES) != 1)
			return -1;
		websocket->random_left = RANDOM_BYTES;
	}
	websocket->random_left -= (uint32_t)size;
	memcpy(to, websocket->random + websocket->random_left, size);
	return 0;
}

static void begin_frame(wslay_event_context_ptr frames,
	const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
	struct websocket *websocket = data;
	(void)frames;
	if (!wslay_is_ctrl_frame(frame->opcode) && frame->opcode != WSLAY_CONTINUATION_FRAME) {
		bytes_clear(&websocket->message);
		websocket->is_skipped = false;
	}
	websocket->opcode = frame->opcode;
}

static void take_piece(wslay_event_context_ptr frames,
	const struct wslay_event_on_frame_recv_chunk_arg *piece, void *data)
{
	struct websocket *websocket = data;
	(void)frames;
	if (wslay_is_ctrl_frame(websocket->opcode) || websocket->is_skipped)
		return;
	if (piece->data_length > WEBSOCKET_NOTICE_BYTES ||
		bytes_append(&websocket->message, piece->data, (uint32_t)piece->data_length) < 0) {
		websocket->is_skipped = true;
		bytes_clear(&websocket->message);
	}
}

static void take_message(struct websocket *websocket, uint8_t opcode)
{
	struct notice notice;
	struct agent_event event;
	struct text message = {(const char *)websocket->message.data, websocket->message.size};
	if (websocket->is_skipped)
		log_warn("a message of the dashboard's is over %d bytes and is passed over",
			WEBSOCKET_NOTICE_BYTES);
	else if (opcode != WSLAY_TEXT_FRAME)
		log_warn("a binary message of the dashboard's is passed over");
	else
		switch (notice_read(message, &notice, &event)) {
		case NOTICE_GOOD: inbox_add(websocket->inbox, &event); break;
		case NOTICE_IGNORED: log_debug("a message of another type is passed over"); break;
		case NOTICE_GARBAGE:
			log_warn("a message of the dashboard's is not understood");
			break;
		}
	bytes_clear(&websocket->message);
}

/* The eight bytes that we sent; anything else answers nothing of ours. */
static void take_pong(struct websocket *websocket, const uint8_t *data, size_t size)
{
	uint64_t sequence = 0;
	if (size != SEQUENCE_BYTES)
		return;
	for (size_t i = 0; i < SEQUENCE_BYTES; i++)
		sequence = sequence << 8 | data[i];
	inbox_add(websocket->inbox,
		&(struct agent_event){.type = EVENT_PONG, .pong = {.sequence = sequence}});
}

static void on_message(wslay_event_context_ptr frames,
	const struct wslay_event_on_msg_recv_arg *message, void *data)
{
	struct websocket *websocket = data;
	(void)frames;
	switch (message->opcode) {
	case WSLAY_TEXT_FRAME:
	case WSLAY_BINARY_FRAME: take_message(websocket, message->opcode); return;
	case WSLAY_PONG: take_pong(websocket, message->msg, message->msg_length); return;
	case WSLAY_CONNECTION_CLOSE:
		websocket->close_code = message->status_code ? message->status_code
							     : WEBSOCKET_CLOSE_EVICTED;
		return;
	}
}

static const struct wslay_event_callbacks callbacks = {
	take_input, put_output, make_mask, begin_frame, take_piece, NULL, on_message};

/* ---- ending ---- */

static void drop_connection(struct websocket *websocket)
{
	if (websocket->readable)
		event_free(websocket->readable);
	if (websocket->writable)
		event_free(websocket->writable);
	websocket->readable = websocket->writable = NULL;
	wslay_event_context_free(websocket->frames);
	websocket->frames = NULL;
	/* Before its descriptor goes, nothing of ours may watch it any more. */
	curl_multi_remove_handle(websocket->multi.handle, websocket->easy);
	websocket->is_readable = websocket->is_writable = websocket->wants_write = false;
	websocket->handshake = MONO_NEVER;
	bytes_finish(&websocket->in);
	bytes_finish(&websocket->out);
	bytes_finish(&websocket->message);
	websocket->in_read = websocket->out_sent = 0;
}

static void end_with(struct websocket *websocket, const char *reason)
{
	cleaner_line(text_of(reason), REASON_BYTES_MAX / 2, true, websocket->reason,
		sizeof(websocket->reason));
	drop_connection(websocket);
	bytes_wipe(websocket->token, sizeof(websocket->token));
	websocket->state = WEBSOCKET_ENDED;
	websocket->due = MONO_NEVER;
}

static void tell_end(struct websocket *websocket)
{
	if (websocket->state != WEBSOCKET_ENDED || !inbox_has_room(websocket->inbox))
		return;
	websocket->state = WEBSOCKET_IDLE;
	inbox_add(websocket->inbox, &(struct agent_event){.type = EVENT_CLOSED,
					    .closed = {.id = websocket->id,
						    .code = websocket->code,
						    .close_code = websocket->close_code,
						    .retry_after_ms = websocket->retry_after_ms,
						    .reason = text_of(websocket->reason)}});
}

/* ---- beginning ---- */

struct websocket *websocket_create(
	struct event_base *base, const struct transport *transport, struct inbox *inbox)
{
	struct websocket *websocket = calloc(1, sizeof(*websocket));
	if (!websocket)
		return NULL;
	websocket->transport = transport;
	websocket->inbox = inbox;
	websocket->due = websocket->handshake = MONO_NEVER;
	websocket->easy = curl_easy_init();
	if (!websocket->easy || !multi_init(&websocket->multi, base)) {
		curl_easy_cleanup(websocket->easy);
		free(websocket);
		errno = ENOMEM;
		return NULL;
	}
	return websocket;
}

static bool set_up(struct websocket *websocket)
{
	char url[URL_BYTES_MAX + 8];
	CURL *easy = websocket->easy;
	curl_easy_reset(easy);
	upgrade_url(websocket->transport->host->url, url);
	bytes_init(&websocket->in, READ_BYTES);
	bytes_init(&websocket->out, WEBSOCKET_OUT_BYTES_MAX);
	bytes_init(&websocket->message, WEBSOCKET_NOTICE_BYTES);
	return transport_set_up(websocket->transport, easy) &&
	       curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       /* What follows is no HTTP that a proxy could pass on by itself. */
	       curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, websocket->error) == CURLE_OK &&
	       curl_multi_add_handle(websocket->multi.handle, easy) == CURLM_OK;
}

void websocket_open(struct websocket *websocket, uint64_t id, const char *token)
{
	check(websocket->state == WEBSOCKET_IDLE);
	websocket->id = id;
	websocket->code = websocket->close_code = websocket->retry_after_ms = 0;
	websocket->error[0] = websocket->reason[0] = '\0';
	websocket->state = WEBSOCKET_CONNECTING;
	websocket->due = mono_after(mono_now(), WEBSOCKET_UPGRADE_MS);
	snprintf(websocket->token, sizeof(websocket->token), "%s", token);
	if (multi_is_clogged(&websocket->multi))
		end_with(websocket, "the name servers are silent: earlier look-ups still hang");
	else if (!set_up(websocket))
		end_with(websocket, "out of memory");
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct websocket *websocket = data;
	(void)fd;
	(void)what;
	websocket->is_readable = true;
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct websocket *websocket = data;
	(void)fd;
	(void)what;
	websocket->is_writable = true;
}

static void connected(struct websocket *websocket)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	curl_easy_getinfo(websocket->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD) {
		end_with(websocket, "the connection is gone");
		return;
	}
	websocket->readable = event_new(
		websocket->multi.base, fd, EV_READ | EV_PERSIST, on_readable, websocket);
	websocket->writable = event_new(
		websocket->multi.base, fd, EV_WRITE, on_writable, websocket);
	if (!websocket->readable || !websocket->writable ||
		event_add(websocket->readable, NULL) < 0 ||
		wslay_event_context_client_init(&websocket->frames, &callbacks, websocket) != 0) {
		end_with(websocket, "out of memory");
		return;
	}
	wslay_event_config_set_no_buffering(websocket->frames, 1);
	if (upgrade_ask(&websocket->upgrade, websocket->transport->host->url, websocket->token,
		    &websocket->out) < 0) {
		end_with(websocket, "the upgrade cannot be asked for");
		return;
	}
	bytes_wipe(websocket->token, sizeof(websocket->token));
	websocket->state = WEBSOCKET_UPGRADING;
}

static void connect_more(struct websocket *websocket)
{
	CURLcode code;
	if (!multi_take(&websocket->multi, &code))
		return;
	if (code == CURLE_OK)
		connected(websocket);
	else
		end_with(websocket,
			multi_explain(&websocket->multi, websocket->easy, code, websocket->error));
}

/* ---- bytes ---- */

/* Reads what is there, as much as fits. False: the connection ended. */
static bool fill(struct websocket *websocket)
{
	bytes_drop(&websocket->in, websocket->in_read);
	websocket->in_read = 0;
	uint32_t room = READ_BYTES - websocket->in.size;
	if (room == 0 || !websocket->is_readable)
		return true;
	uint8_t *to = bytes_reserve(&websocket->in, room);
	size_t got = 0;
	if (!to)
		return false;
	CURLcode code = curl_easy_recv(websocket->easy, to, room, &got);
	if (code == CURLE_AGAIN) {
		websocket->is_readable = false;
		return true;
	}
	bytes_grew(&websocket->in, (uint32_t)got);
	if (code == CURLE_OK && got > 0)
		return true;
	end_with(websocket, code == CURLE_OK ? "the dashboard closed the connection"
					     : curl_easy_strerror(code));
	return false;
}

static void upgrade_more(struct websocket *websocket)
{
	struct text answer = {(const char *)websocket->in.data, websocket->in.size};
	enum upgrade_verdict verdict = upgrade_read(&websocket->upgrade, answer);
	switch (verdict) {
	case UPGRADE_SHORT:
		if (websocket->in.size >= READ_BYTES)
			end_with(websocket, "the answer to the upgrade is too large");
		return;
	case UPGRADE_GOOD: break;
	case UPGRADE_REFUSED:
		websocket->code = websocket->upgrade.code;
		websocket->retry_after_ms = websocket->upgrade.retry_after_ms;
		end_with(websocket, websocket->upgrade.reason);
		return;
	}
	websocket->in_read = websocket->upgrade.head_bytes;
	websocket->state = WEBSOCKET_OPEN;
	websocket->due = MONO_NEVER;
	inbox_add(websocket->inbox,
		&(struct agent_event){.type = EVENT_CONNECTED, .connected = {.id = websocket->id}});
}

/* Of pings that came together the newest is answered, which stands for all (RFC 6455, 5.5.3): who
 * sends them faster than it reads must not fill the room of what is to be said. These frames are
 * control frames, each with a mask and short. */
static void keep_newest(struct bytes *out, uint32_t first)
{
	uint32_t newest = first;
	for (uint32_t at = first; at < out->size;
		at += CONTROL_HEAD_BYTES + (out->data[at + 1] & 0x7f))
		newest = at;
	memmove(out->data + first, out->data + newest, out->size - newest);
	out->size -= newest - first;
}

/* What frames wants to say by itself: the answers to pings, and to a close frame. */
static void flush_frames(struct websocket *websocket)
{
	uint32_t before = websocket->out.size;
	if (websocket->state != WEBSOCKET_OPEN || !wslay_event_want_write(websocket->frames))
		return;
	if (wslay_event_send(websocket->frames) == 0)
		keep_newest(&websocket->out, before);
	else
		end_with(websocket, "more waits to be sent than there is room for");
}

/* While TLS waits for the other side's part of a handshake, it takes nothing though the socket
 * does: who waits for the socket would be woken again and again. */
static void wait_to_write(struct websocket *websocket)
{
	struct pollfd room = {event_get_fd(websocket->writable), POLLOUT, 0};
	websocket->wants_write = true;
	if (poll(&room, 1, 0) == 1)
		websocket->handshake = mono_after(mono_now(), WEBSOCKET_HANDSHAKE_MS);
	else
		event_add(websocket->writable, NULL);
}

static void write_more(struct websocket *websocket)
{
	while (websocket->out_sent < websocket->out.size && !websocket->wants_write) {
		uint32_t size = websocket->out.size - websocket->out_sent;
		size_t sent = 0;
		CURLcode code = curl_easy_send(websocket->easy,
			websocket->out.data + websocket->out_sent,
			size < SEND_BYTES_MAX ? size : SEND_BYTES_MAX, &sent);
		if (code == CURLE_AGAIN) {
			wait_to_write(websocket);
			return;
		}
		if (code != CURLE_OK) {
			end_with(websocket, curl_easy_strerror(code));
			return;
		}
		websocket->out_sent += (uint32_t)sent;
	}
	if (websocket->out_sent == websocket->out.size) {
		/* What a flood made it grow to is given back. */
		if (websocket->out.room > WEBSOCKET_STREAM_BYTES)
			bytes_finish(&websocket->out);
		bytes_clear(&websocket->out);
		websocket->out_sent = 0;
	} else if (websocket->out_sent > WEBSOCKET_STREAM_BYTES) {
		bytes_drop(&websocket->out, websocket->out_sent);
		websocket->out_sent = 0;
	}
}

void websocket_flush(struct websocket *websocket)
{
	if (websocket->readable)
		flush_frames(websocket);
	if (websocket->readable)
		write_more(websocket);
}

static void read_frames(struct websocket *websocket)
{
	if (wslay_event_recv(websocket->frames) == 0 && websocket->close_code == 0 &&
		wslay_event_get_read_enabled(websocket->frames)) {
		flush_frames(websocket); /* until then each answer has memory of its own */
		return;
	}
	char reason[64];
	websocket_flush(websocket); /* the answer to a close frame */
	if (websocket->state == WEBSOCKET_ENDED)
		return;
	if (websocket->close_code == WEBSOCKET_CLOSE_EVICTED)
		snprintf(
			reason, sizeof(reason), "evicted by another connection for this host name");
	else if (websocket->close_code)
		snprintf(reason, sizeof(reason), "the dashboard closed with code %u",
			(unsigned)websocket->close_code);
	else
		snprintf(reason, sizeof(reason), "the dashboard broke the WebSocket protocol");
	end_with(websocket, reason);
}

/* Bytes that wait in the socket, or here because there was no room for what they say. */
static bool has_input(const struct websocket *websocket)
{
	return websocket->is_readable || websocket->in.size > websocket->in_read;
}

static void read_more(struct websocket *websocket)
{
	for (int i = 0; i < READS_A_TURN && has_input(websocket); i++) {
		if (!inbox_has_room(websocket->inbox) || !fill(websocket))
			return;
		if (websocket->state == WEBSOCKET_UPGRADING)
			upgrade_more(websocket);
		if (websocket->state == WEBSOCKET_OPEN)
			read_frames(websocket);
		if (websocket->state == WEBSOCKET_ENDED)
			return;
	}
}

void websocket_listen(struct websocket *websocket, bool on)
{
	if (websocket->readable && on)
		event_add(websocket->readable, NULL);
	else if (websocket->readable)
		event_del(websocket->readable);
}

void websocket_work(struct websocket *websocket, struct mono now)
{
	multi_work(&websocket->multi, now);
	if (websocket->state == WEBSOCKET_CONNECTING)
		connect_more(websocket);
	if (websocket->is_writable || mono_reached(now, websocket->handshake)) {
		websocket->wants_write = websocket->is_writable = false;
		websocket->handshake = MONO_NEVER;
	}
	if (websocket->readable)
		read_more(websocket);
	websocket_flush(websocket);
	if (mono_reached(now, websocket->due) && websocket->state != WEBSOCKET_ENDED)
		end_with(websocket, websocket->state == WEBSOCKET_CONNECTING
					    ? "the connection takes too long"
					    : "the upgrade is not answered");
	tell_end(websocket);
}

struct mono websocket_due(const struct websocket *websocket)
{
	bool is_ready = websocket->state == WEBSOCKET_ENDED ||
			(websocket->state == WEBSOCKET_OPEN && has_input(websocket));
	if (is_ready && inbox_has_room(websocket->inbox))
		return (struct mono){0};
	return mono_earlier(
		mono_earlier(websocket->due, websocket->handshake), multi_due(&websocket->multi));
}

/* ---- saying ---- */

static bool queue(struct websocket *websocket, uint8_t opcode, const void *data, size_t size)
{
	struct wslay_event_msg message = {opcode, data, size};
	if (websocket->state != WEBSOCKET_OPEN ||
		size + 64 > WEBSOCKET_OUT_BYTES_MAX - websocket->out.size)
		return false;
	return wslay_event_queue_msg(websocket->frames, &message) == 0 &&
	       wslay_event_send(websocket->frames) == 0;
}

bool websocket_say(struct websocket *websocket, struct text message)
{
	return queue(websocket, WSLAY_TEXT_FRAME, message.data, message.size);
}

bool websocket_ping(struct websocket *websocket, uint64_t sequence)
{
	uint8_t bytes[SEQUENCE_BYTES];
	for (size_t i = 0; i < SEQUENCE_BYTES; i++)
		bytes[i] = (uint8_t)(sequence >> (8 * (SEQUENCE_BYTES - 1 - i)));
	return queue(websocket, WSLAY_PING, bytes, sizeof(bytes));
}

bool websocket_is_open(const struct websocket *websocket)
{
	return websocket->state == WEBSOCKET_OPEN;
}

uint32_t websocket_waiting(const struct websocket *websocket)
{
	return websocket->out.size - websocket->out_sent;
}

void websocket_close(struct websocket *websocket, uint64_t id, struct text reason)
{
	char words[REASON_BYTES_MAX + 1];
	if (websocket->id != id || websocket->state == WEBSOCKET_IDLE ||
		websocket->state == WEBSOCKET_ENDED)
		return;
	if (websocket->state == WEBSOCKET_OPEN) {
		wslay_event_queue_close(websocket->frames, WEBSOCKET_CLOSE_GOING, NULL, 0);
		flush_frames(websocket);
		if (websocket->readable)
			write_more(websocket);
	}
	text_copy(reason, words, sizeof(words));
	if (websocket->state != WEBSOCKET_ENDED)
		end_with(websocket, words);
}

void websocket_hurry(struct websocket *websocket, uint64_t id)
{
	bool is_connecting = websocket->state == WEBSOCKET_CONNECTING;
	if (websocket->id != id || (!is_connecting && websocket->state != WEBSOCKET_UPGRADING))
		return;
	if (is_connecting)
		websocket->multi.lookup_hangs = true; /* perhaps: then its thread is counted */
	end_with(websocket, "the network changed while connecting");
}
