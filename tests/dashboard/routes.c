/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/routes.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define GET    EVHTTP_REQ_GET
#define POST   EVHTTP_REQ_POST
#define DELETE EVHTTP_REQ_DELETE

static const struct route routes[] = {
	{POST, "/api/hosts/*/register", "register", agent_register, ROUTE_AGENT, FIELDS_REGISTER,
		30},
	{GET, "/api/hosts/*/poll", "poll", agent_poll, ROUTE_AGENT, .per_minute = 60},
	{POST, "/api/hosts/*/status", "status", agent_status, ROUTE_AGENT, FIELDS_STATUS, 30},
	{POST, "/api/hosts/*/test-progress", "test-progress", agent_progress, ROUTE_AGENT,
		FIELDS_PROGRESS, 60},
	{GET, "/health", "health", agent_health, ROUTE_OPEN},
	{GET, "/ws", "upgrade", agent_upgrade, ROUTE_UPGRADE},
	{GET, "/", "page", control_page},
	{GET, "/events", "events", control_events},
	{GET, "/api/hosts", "hosts", control_hosts},
	{GET, "/api/hosts/*", "host", control_host},
	{DELETE, "/api/hosts/*", "delete", control_delete},
	{POST, "/api/hosts/*/command", "command", control_command},
	{POST, "/api/hosts/*/rotate", "rotate", control_rotate},
	{POST, "/api/hosts/*/provision", "provision", control_provision},
	{POST, "/api/faults", "faults", control_faults_add},
	{DELETE, "/api/faults", "faults", control_faults_clear},
};

static const struct {
	enum evhttp_cmd_type method;
	const char *name;
} methods[] = {{GET, "GET"}, {POST, "POST"}, {DELETE, "DELETE"}, {EVHTTP_REQ_HEAD, "HEAD"},
	{EVHTTP_REQ_PUT, "PUT"}, {EVHTTP_REQ_OPTIONS, "OPTIONS"}, {EVHTTP_REQ_PATCH, "PATCH"},
	{EVHTTP_REQ_TRACE, "TRACE"}};

static const char *const auth_words[] = {
#define X(NAME, word) [AUTH_##NAME] = word,
	AUTHS(X)
#undef X
};

/* Whether path is pattern; *id is then the part at its star. */
static bool path_matches(const char *path, const char *pattern, struct text *id)
{
	const char *star = strchr(pattern, '*');
	*id = TEXT_NONE;
	if (!star)
		return strcmp(path, pattern) == 0;
	size_t before = (size_t)(star - pattern);
	if (strncmp(path, pattern, before) != 0)
		return false;
	size_t size = strcspn(path + before, "/");
	*id = (struct text){path + before, (uint32_t)size};
	return strcmp(path + before + size, star + 1) == 0;
}

static const char *method_name(enum evhttp_cmd_type method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].method == method)
			return methods[i].name;
	}
	return "?";
}

/* Where only the method is wrong, allow says which ones are right. */
static void find_route(struct request *request, enum evhttp_cmd_type method)
{
	struct text id;
	size_t allowed = 0;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_matches(request->path, routes[i].path, &id))
			continue;
		if (routes[i].method != method) {
			allowed += (size_t)snprintf(request->allow + allowed,
				sizeof(request->allow) - allowed, "%s%s", allowed ? ", " : "",
				method_name(routes[i].method));
			check(allowed < sizeof(request->allow));
			continue;
		}
		request->route = &routes[i];
		request->id_legal = text_copy(id, request->id, sizeof(request->id)) &&
				    fields_host_id(request->id);
		if (!request->id_legal)
			request->id[0] = '\0';
		for (char *at = request->id; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		return;
	}
}

static enum auth judge_auth(const struct request *request)
{
	const char *header = evhttp_find_header(
		evhttp_request_get_input_headers(request->http), "Authorization");
	const struct host *host = hosts_find(&request->dashboard->hosts, request->id);
	const char *shared = request->dashboard->options.token;
	if (!header)
		return AUTH_NONE;
	if (strncmp(header, "Bearer ", 7) != 0)
		return AUTH_BAD;
	header += 7;
	if (host && *host->token && strcmp(header, host->token) == 0)
		return host->token_state == HOST_TOKEN_ROTATED ? AUTH_BAD : AUTH_OWN;
	return !shared || strcmp(header, shared) == 0 ? AUTH_SHARED : AUTH_BAD;
}

static json_t *read_body(struct request *request, json_error_t *error)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request->http);
	size_t size = evbuffer_get_length(buffer);
	if (size == 0)
		return NULL;
	const char *text = (const char *)evbuffer_pullup(buffer, -1);
	return text ? json_loadb(text, size, JSON_REJECT_DUPLICATES, error) : NULL;
}

/* A page of somebody else's that makes a browser send this. */
static bool is_cross_origin(const struct request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request->http);
	const char *site = evhttp_find_header(headers, "Sec-Fetch-Site");
	const char *origin = evhttp_find_header(headers, "Origin");
	const char *own = evhttp_find_header(headers, "Host");
	const char *slashes = origin ? strstr(origin, "://") : NULL;
	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return true;
	return origin && (!slashes || !own || strcmp(slashes + 3, own) != 0);
}

static void refuse_method(struct request *request)
{
	reply_refuse(&request->reply, 405, "Method Not Allowed");
	request->reply.allow = request->allow;
}

static void act(struct request *request)
{
	const struct route *route = request->route;
	if (!route && *request->allow)
		refuse_method(request);
	else if (!route)
		reply_refuse(&request->reply, 404, "Not Found");
	else if (route->side == ROUTE_PAGE && route->method != GET && is_cross_origin(request))
		reply_refuse(&request->reply, 403, "This comes from another site");
	else if (route->side != ROUTE_AGENT || agent_admit(request))
		route->handler(request);
}

static void write_log(const struct request *request, const struct fault *fault)
{
	char names[FAULT_NAMES_BYTES];
	if (fault)
		fault_names(fault, names);
	request_log_write(&request->dashboard->log,
		&(struct request_log_line){
			.now = request->now,
			.method = request->method,
			.path = request->path,
			.host = *request->id ? request->id : NULL,
			.auth = auth_words[request->auth],
			.body = request->body,
			.status = fault && fault_effect(fault, FAULT_DROP) ? 0
									   : request->reply.status,
			.command = request->command,
			.fault = fault ? names : NULL,
			.token_given = request->token_given,
		});
}

static void answer(struct request *request, const struct fault *fault)
{
	if (request->taken)
		return;
	if (fault && spoil_wants(fault) &&
		spoil_send(&request->dashboard->spoils, request->http, fault, &request->reply) == 0)
		return;
	reply_send(&request->reply, request->http);
}

/* Takes the fault that this request is to meet; false for none. */
static bool take_fault(struct request *request, struct fault *fault)
{
	const struct route *route = request->route;
	if (!route || (route->side != ROUTE_AGENT && route->side != ROUTE_UPGRADE))
		return false;
	return faults_take(&request->dashboard->faults,
		&(struct fault_target){FAULT_HTTP, route->name, *request->id ? request->id : NULL},
		fault);
}

void routes_handle(struct evhttp_request *http, void *data)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(http);
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
	struct request request = {.dashboard = data,
		.http = http,
		.now = mono_now(),
		.wall = wall_now(),
		.method = method_name(method),
		.path = path ? path : ""};
	struct fault fault;
	json_error_t error = {0};

	find_route(&request, method);
	request.body = read_body(&request, &error);
	request.body_fault = request.body ? NULL : error.text;
	request.auth = judge_auth(&request);
	reply_text(&request.reply, 500, REPLY_TEXT, "Internal Server Error");

	bool faulty = take_fault(&request, &fault);
	if (!faulty || (fault.act && request.route->side != ROUTE_UPGRADE))
		act(&request);
	if (faulty)
		reply_apply(&request.reply, &fault);
	if (request.taken)
		request.reply.status = request.route->side == ROUTE_UPGRADE ? 101 : 200;
	write_log(&request, faulty ? &fault : NULL);
	answer(&request, faulty ? &fault : NULL);
	if (request.route && !request.taken && method != GET)
		events_touch(&request.dashboard->events);
	json_decref(request.body);
	reply_finish(&request.reply);
}
