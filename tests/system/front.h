/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Real network parts around a world: a web server before its dashboard, forward proxies, name
 * servers, and network namespaces of the test's own. All programs bear the world's mark, so that
 * world_close() ends them; the namespaces end with the test's process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/system/world.h"

#define FRONT_CONFIG_BYTES 4096

/* Two namespaces joined by a cable: the test and the dashboard in one, the agent in the other. */
struct front_network {
	int dashboard; /* descriptors of the namespaces */
	int agent;
};

#define FRONT_DASHBOARD_ADDRESS "10.77.0.1"
#define FRONT_AGENT_ADDRESS     "10.77.0.2"

/* Ends the test as skipped unless all these programs (separated by spaces) are installed. */
void front_need(const char *programs);
/* A TCP port of 127.0.0.1 that was free just now. */
int front_port(void);
/* Runs a shell command in the world's folder; its output goes to front.log there. The exit code. */
int front_shell(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Starts a program by its path, in the world's folder; its output goes to the named file there. */
pid_t front_start(struct world *world, const char *log, char *const argv[]);
/* SIGKILL, and waits for it. */
void front_kill(pid_t pid);
/* Waits until somebody accepts connections at 127.0.0.1. */
void front_await(int port);
/* A file below the world's folder, as text; the caller frees. */
char *front_text(struct world *world, const char *name);
/* How many times the needle stands in that file. */
uint32_t front_count(struct world *world, const char *name, const char *needle);
/* An authority (NAME.pem) and a certificate for localhost signed by it (NAME-host.pem, .key). */
void front_authority(struct world *world, const char *name);
/* nginx with one server; http stands in its http block, server in the server's. */
pid_t front_nginx(struct world *world, const char *http, const char *server);

/* Skips the test where namespaces cannot be made. The calling thread ends up in the dashboard's;
 * call it first in a test. The cable's agent end is down and without an address. */
void front_network_open(struct front_network *network);
/* What the calling thread starts next, it starts beside the agent; and back. */
void front_network_enter(const struct front_network *network, bool agent);
/* This becomes /etc/resolv.conf of all that is started from now on. */
void front_resolver(struct world *world, const char *text);
/* Connects the agent's end: link, address, route. */
void front_network_connect(struct world *world, const struct front_network *network);
