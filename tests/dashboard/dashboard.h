/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Everything one dashboard process has. main.c makes it; the routes and the events use it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/dashboard/events.h"
#include "tests/dashboard/faults.h"
#include "tests/dashboard/hosts.h"
#include "tests/dashboard/rates.h"
#include "tests/dashboard/request_log.h"
#include "tests/dashboard/sockets.h"
#include "tests/dashboard/spoil.h"

#define DASHBOARD_BODY_BYTES_MAX   (256 * 1024)
#define DASHBOARD_HEADER_BYTES_MAX 16384
#define DASHBOARD_IDLE_S           5 /* then a connection is closed */

struct event_base;

struct dashboard_options {
	char address[64];
	uint16_t port; /* 0: any */
	const char *port_file;
	const char *log_file;
	const char *token; /* NULL: nobody is asked for one */
	bool provision;
	bool rate_limits;
	bool log_output; /* a line for each output frame */
	uint32_t idle_ms;
	uint32_t ping_ms;
};

struct dashboard {
	struct dashboard_options options;
	struct event_base *base;
	struct hosts hosts;
	struct faults faults;
	struct rates rates;
	struct request_log log;
	struct spoils spoils;
	struct sockets sockets;
	struct events events;
};
