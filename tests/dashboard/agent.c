/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agents' part of the protocol. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <event2/http.h>

#include "proto/base/log.h"
#include "tests/dashboard/routes.h"

#define TOKEN_RANDOM_BYTES 20
static_assert(2 * TOKEN_RANDOM_BYTES < HOST_TOKEN_BYTES, "a token fits");

static struct host *host_of(const struct request *request)
{
	return hosts_find(&request->dashboard->hosts, request->id);
}

static bool auth_enough(const struct request *request)
{
	const struct host *host = host_of(request);
	if (!request->dashboard->options.token)
		return true;
	if (request->auth == AUTH_SHARED)
		return !host || host->token_state != HOST_TOKEN_OWN;
	return request->auth == AUTH_OWN;
}

static bool within_rate(struct request *request)
{
	struct dashboard *dashboard = request->dashboard;
	char *address = NULL;
	ev_uint16_t port = 0;
	if (!dashboard->options.rate_limits)
		return true;
	evhttp_connection_get_peer(evhttp_request_get_connection(request->http), &address, &port);
	return rates_allow(&dashboard->rates, address ? address : "?", request->path,
		request->route->per_minute, request->now);
}

/* The original's order: what the body says is judged before who sent it. */
bool agent_admit(struct request *request)
{
	bool has_fields = request->route->method == EVHTTP_REQ_POST;
	if (!request->id_legal) {
		reply_refuse(&request->reply, 400, "Invalid host id");
		return false;
	}
	if (has_fields && request->body_fault && strstr(request->body_fault, "Unicode")) {
		/* A lone surrogate escape passes its parser and fails when it is stored. */
		reply_text(&request->reply, 500, REPLY_TEXT, "Internal Server Error");
		return false;
	}
	const char *illegal = has_fields ? fields_check(request->route->fields, request->body)
					 : NULL;
	if (illegal) {
		reply_json(&request->reply, 422,
			json_pack("{s:[{s:[s,s],s:s}]}", "detail", "loc", "body", illegal, "msg",
				"Value error"));
		return false;
	}
	if (!within_rate(request)) {
		reply_text(&request->reply, 500, REPLY_TEXT, "Internal Server Error");
		return false;
	}
	if (!auth_enough(request)) {
		reply_refuse(&request->reply, 401, "Invalid token");
		return false;
	}
	return true;
}

/* Makes the host a token of its own, from now on the only one. 0, or -1 with errno. */
static int make_token(struct host *host)
{
	uint8_t random[TOKEN_RANDOM_BYTES];
	if (getentropy(random, sizeof(random)) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(host->token + 2 * i, 3, "%02x", random[i]);
	host->token_state = HOST_TOKEN_OWN;
	return 0;
}

/* Adds the waiting command and a due token to an answer. */
static void add_gifts(struct request *request, struct host *host, json_t *json)
{
	bool due = host &&
		   (host->token_state == HOST_TOKEN_DUE ||
			   (host->token_state == HOST_TOKEN_NONE && host->registrations > 0 &&
				   request->dashboard->options.provision));
	request->command = host ? host_take(host, request->wall) : NULL;
	if (host)
		snprintf(host->pending, sizeof(host->pending), "%s",
			request->command ? request->command : "");
	json_object_set_new(
		json, "command", request->command ? json_string(request->command) : json_null());
	if (!due)
		return;
	if (make_token(host) != 0) {
		log_warn("no randomness for a token of %s", host->id);
		return;
	}
	json_object_set_new(json, "agent_token", json_string(host->token));
	request->token_given = true;
}

void agent_register(struct request *request)
{
	struct host *host = hosts_make(&request->dashboard->hosts, request->id);
	if (!host) {
		reply_text(&request->reply, 500, REPLY_TEXT, "Internal Server Error");
		return;
	}
	json_t *record = json_deep_copy(request->body);
	host_register(host, record, request->now, request->wall);
	json_decref(record);
	json_t *json = json_pack("{s:s s:s}", "status", "registered", "host_id", host->id);
	add_gifts(request, host, json);
	reply_json(&request->reply, 200, json);
}

static struct host *touched_host(struct request *request)
{
	struct host *host = host_of(request);
	if (host)
		host_seen(host, request->now, request->wall);
	return host;
}

void agent_poll(struct request *request)
{
	json_t *json = json_object();
	add_gifts(request, touched_host(request), json);
	reply_json(&request->reply, 200, json);
}

/* A report for a host that is not known is answered like any other, and forgotten. */
void agent_status(struct request *request)
{
	struct host *host = touched_host(request);
	if (host) {
		json_t *report = json_deep_copy(request->body);
		host_report(host, report, request->wall);
		json_decref(report);
	}
	reply_json(&request->reply, 200, json_pack("{s:s}", "status", "updated"));
}

void agent_progress(struct request *request)
{
	struct host *host = touched_host(request);
	if (host) {
		json_t *progress = json_deep_copy(request->body);
		host_progress(host, progress);
		json_decref(progress);
	}
	reply_json(&request->reply, 200, json_pack("{s:s}", "status", "updated"));
}

void agent_health(struct request *request)
{
	reply_json(&request->reply, 200,
		json_pack("{s:s s:s}", "status", "healthy", "version", NIXFLEET_VERSION));
}
