/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a request to its answer: one table row per kind of request. The hosts' part of it is the
 * protocol as the original dashboard enforces it; the rest is for the page and for tests.
 */
#pragma once

#include <evhttp.h>
#include <jansson.h>

#include "tests/dashboard/dashboard.h"
#include "tests/dashboard/fields.h"
#include "tests/dashboard/reply.h"

/* Who a request says it is from. */
#define AUTHS(X) X(NONE, "none") X(SHARED, "shared") X(OWN, "own") X(BAD, "bad")
enum auth {
#define X(NAME, word) AUTH_##NAME,
	AUTHS(X)
#undef X
};

struct route;

enum route_side {
	ROUTE_PAGE,    /* for the page and tests */
	ROUTE_AGENT,   /* the HTTP protocol: token, faults and limits apply */
	ROUTE_UPGRADE, /* the WebSocket protocol begins: its handler looks at the token */
	ROUTE_OPEN,
};

/* One request while it is handled. */
struct request {
	struct dashboard *dashboard;
	struct evhttp_request *http;
	struct mono now;
	struct wall wall;
	const char *method;
	const char *path;
	const struct route *route;
	char id[HOST_BYTES_MAX +
		1]; /* lower case; empty where the path has none or an illegal one */
	bool id_legal;
	char allow[32];         /* the methods that this path has, where the request's is not one */
	json_t *body;           /* or NULL */
	const char *body_fault; /* why there is none, or NULL */
	enum auth auth;
	struct reply reply;
	const char *command; /* handed out; lent by the host */
	bool token_given;
	bool taken; /* the connection is not the HTTP server's any more */
};

typedef void (*route_handler)(struct request *request);

struct route {
	enum evhttp_cmd_type method;
	const char *path; /* a * stands for the host's id */
	const char *name;
	route_handler handler;
	enum route_side side;
	enum fields_body fields;
	uint32_t per_minute;
};

/* The HTTP server's callback for all requests; data is the struct dashboard. */
void routes_handle(struct evhttp_request *http, void *data);

/* For the page and tests; control.c. */
void control_page(struct request *request);
void control_events(struct request *request);
void control_hosts(struct request *request);
void control_host(struct request *request);
void control_command(struct request *request);
void control_delete(struct request *request);
void control_rotate(struct request *request);
void control_provision(struct request *request);
void control_faults_add(struct request *request);
void control_faults_clear(struct request *request);

/* For agents; agent.c. */
void agent_register(struct request *request);
void agent_poll(struct request *request);
void agent_status(struct request *request);
void agent_progress(struct request *request);
void agent_health(struct request *request);
/* upgrade.c: turns the connection into a WebSocket. */
void agent_upgrade(struct request *request);
/* Everything that is judged before a handler acts. false: reply says why not. */
bool agent_admit(struct request *request);
