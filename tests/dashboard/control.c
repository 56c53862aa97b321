/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the page and tests ask for; not part of the protocol, and no token is needed. */
#include <string.h>

#include "tests/dashboard/host_json.h"
#include "tests/dashboard/page_html.h"
#include "tests/dashboard/routes.h"

void control_page(struct request *request)
{
	reply_text(&request->reply, 200, REPLY_HTML, (const char *)page_html);
}

void control_events(struct request *request)
{
	if (events_join(&request->dashboard->events, request->http) == 0)
		request->taken = true;
	else
		reply_refuse(&request->reply, 503, "too many readers");
}

void control_hosts(struct request *request)
{
	reply_json(
		&request->reply, 200, hosts_json(&request->dashboard->hosts, false, request->now));
}

/* The host of the path, or NULL with the answer made. */
static struct host *known_host(struct request *request)
{
	struct host *host = hosts_find(&request->dashboard->hosts, request->id);
	if (!host)
		reply_refuse(&request->reply, 404, "Host not found");
	return host;
}

void control_host(struct request *request)
{
	struct host *host = known_host(request);
	if (host)
		reply_json(&request->reply, 200, host_json(host, false, request->now));
}

static bool command_legal(const char *command)
{
	return command && *command && strlen(command) <= COMMAND_BYTES_MAX;
}

/* Sends it over the host's WebSocket; as "kill_command" says, in the form of older dashboards. */
static void send_command(struct request *request, struct host *host, const char *command)
{
	const char *signal = json_string_value(json_object_get(request->body, "kill_command"));
	session_command(host, command, request->wall);
	if (signal)
		sockets_send(&request->dashboard->sockets, host, "kill_command",
			json_pack("{s:s s:i}", "signal", signal, "pid", 0));
	else
		sockets_send(&request->dashboard->sockets, host, "command",
			json_pack("{s:s}", "command", command));
	reply_json(
		&request->reply, 200, json_pack("{s:s s:s}", "status", "sent", "command", command));
}

/* What a host that is there over WebSocket gets; "force" sends what the web API would refuse. */
static void command_by_websocket(
	struct request *request, struct host *host, const char *command, bool force)
{
	const char *refusal = session_refusal(host, command);
	if (refusal && !force) {
		reply_refuse(&request->reply, 409, refusal);
		return;
	}
	if (host->session.connection != 0) {
		send_command(request, host, command);
		return;
	}
	host_queue(host, command, request->wall);
	reply_json(&request->reply, 200,
		json_pack("{s:s s:s}", "status", "waits", "command", command));
}

/* With "force", also for a host that is offline, never seen or not known at all: so a test can have
 * a command wait for a first register. */
void control_command(struct request *request)
{
	struct hosts *hosts = &request->dashboard->hosts;
	const char *command = json_string_value(json_object_get(request->body, "command"));
	bool force = json_is_true(json_object_get(request->body, "force"));
	if (!command_legal(command)) {
		reply_refuse(&request->reply, 422, "command: a text of 1 to 64 bytes");
		return;
	}
	struct host *host = force ? hosts_make(hosts, request->id) : known_host(request);
	if (!host) {
		if (force)
			reply_refuse(&request->reply, 409, "Too many hosts");
		return;
	}
	if (!force && !host_online(host, request->now)) {
		reply_refuse(&request->reply, 409, "Host is offline");
		return;
	}
	if (host->protocol == HOST_WEBSOCKET) {
		command_by_websocket(request, host, command, force);
		return;
	}
	if (strcmp(command, "stop") == 0) /* the dashboard's own affair, never handed out */
		host_stop(host, request->wall);
	else
		host_queue(host, command, request->wall);
	reply_json(&request->reply, 200,
		json_pack("{s:s s:s}", "status", "queued", "command", command));
}

void control_delete(struct request *request)
{
	struct host *host = known_host(request);
	if (!host)
		return;
	sockets_forget(&request->dashboard->sockets, host->id);
	hosts_remove(&request->dashboard->hosts, host);
	reply_json(&request->reply, 200, json_pack("{s:s}", "status", "deleted"));
}

static void set_token_state(struct request *request, enum host_token state, const char *word)
{
	struct host *host = known_host(request);
	if (!host)
		return;
	host->token_state = state;
	reply_json(&request->reply, 200, json_pack("{s:s}", "status", word));
}

void control_rotate(struct request *request)
{
	set_token_state(request, HOST_TOKEN_ROTATED, "rotated");
}

void control_provision(struct request *request)
{
	set_token_state(request, HOST_TOKEN_DUE, "due");
}

void control_faults_add(struct request *request)
{
	struct fault fault;
	const char *wrong = fault_read(request->body, &fault);
	uint32_t hits = 0;
	if (!wrong && strcmp(fault.match, "now") == 0)
		hits = sockets_fault(&request->dashboard->sockets, &fault);
	else if (!wrong)
		wrong = faults_add(&request->dashboard->faults, &fault);
	if (wrong)
		reply_refuse(&request->reply, 422, wrong);
	else
		reply_json(&request->reply, 200,
			json_pack("{s:s s:i}", "status", "armed", "hits", (int)hits));
}

void control_faults_clear(struct request *request)
{
	faults_clear(&request->dashboard->faults);
	reply_json(&request->reply, 200, json_pack("{s:s}", "status", "cleared"));
}
