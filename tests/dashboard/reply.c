/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

static const char page[] = "<!doctype html><html><head><title>Portal</title></head>"
			   "<body><h1>Please sign in to the network</h1></body></html>";
static const char other_types[] =
	"{\"status\":17,\"host_id\":[],\"command\":{\"name\":\"switch\"},\"agent_token\":42}";

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{409, "Conflict"},
	{422, "Unprocessable Entity"},
	{429, "Too Many Requests"},
	{500, "Internal Server Error"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

static const char *reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Other";
}

void reply_finish(struct reply *reply)
{
	free(reply->body);
	reply->body = NULL;
}

static void set(struct reply *reply, int status, const char *type, char *body)
{
	reply_finish(reply);
	*reply = (struct reply){.status = status, .type = type, .retry_after = -1, .body = body};
}

void reply_json(struct reply *reply, int status, json_t *json)
{
	set(reply, status, REPLY_JSON, json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)));
	json_decref(json);
}

void reply_text(struct reply *reply, int status, const char *type, const char *text)
{
	set(reply, status, type, strdup(text));
}

void reply_refuse(struct reply *reply, int status, const char *detail)
{
	reply_json(reply, status, json_pack("{s:s}", "detail", detail));
}

static void deepen(struct reply *reply)
{
	char text[2 * REPLY_DEEP_LEVELS + 1] = {0};
	memset(text, '[', REPLY_DEEP_LEVELS);
	memset(text + REPLY_DEEP_LEVELS, ']', REPLY_DEEP_LEVELS);
	reply_text(reply, 200, REPLY_JSON, text);
}

static void apply_effect(struct reply *reply, const struct fault_effect *effect)
{
	switch (effect->kind) {
	case FAULT_CODE:
		reply_text(reply, effect->status, REPLY_TEXT,
			*effect->body ? effect->body : reason(effect->status));
		reply->retry_after = effect->retry_after;
		break;
	case FAULT_TRUNCATED:
		if (reply->body)
			reply->body[strlen(reply->body) / 2] = '\0';
		break;
	case FAULT_DEEP: deepen(reply); break;
	case FAULT_TYPES: reply_text(reply, 200, REPLY_JSON, other_types); break;
	case FAULT_HTML: reply_text(reply, 200, REPLY_HTML, page); break;
	case FAULT_DROP:
	case FAULT_DELAY:
	case FAULT_TRICKLE:
	case FAULT_CUT:
	case FAULT_GARBAGE:
	case FAULT_HUGE:
	case FAULT_HALF_OPEN:
	case FAULT_STOP_READING:
	case FAULT_TEXT_GARBAGE:
	case FAULT_BINARY:
	case FAULT_BIG:
	case FAULT_RAW:
	case FAULT_CLOSE:
	case FAULT_NO_PONG:
	case FAULT_CUT_INPUT:
	case FAULT_EVICT: break;
	}
}

void reply_apply(struct reply *reply, const struct fault *fault)
{
	for (uint32_t i = 0; i < fault->count; i++)
		apply_effect(reply, &fault->effects[i]);
}

char *reply_raw(const struct reply *reply, size_t *size)
{
	const char *body = reply->body ? reply->body : "";
	char *raw = NULL, retry[40] = "";
	if (reply->retry_after >= 0)
		snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", reply->retry_after);
	int length = asprintf(&raw,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		"Connection: close\r\n\r\n%s",
		reply->status, reason(reply->status), reply->type, strlen(body), retry, body);
	if (length < 0)
		return NULL;
	*size = (size_t)length;
	return raw;
}

void reply_send(const struct reply *reply, struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	struct evbuffer *buffer = evbuffer_new();
	evhttp_add_header(headers, "Content-Type", reply->type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	if (reply->retry_after >= 0) {
		char seconds[16];
		snprintf(seconds, sizeof(seconds), "%d", reply->retry_after);
		evhttp_add_header(headers, "Retry-After", seconds);
	}
	if (buffer && reply->body)
		evbuffer_add(buffer, reply->body, strlen(reply->body));
	if (reply->allow)
		evhttp_add_header(headers, "Allow", reply->allow);
	evhttp_send_reply(http, reply->status, reason(reply->status), buffer);
	if (buffer)
		evbuffer_free(buffer);
}
