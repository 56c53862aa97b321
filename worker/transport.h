/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What every connection to the dashboard has in common, set in one place: TLS and whom it trusts,
 * proxies, limits of time. Redirects are never followed, so that a token goes nowhere else.
 */
#pragma once

#include <curl/curl.h>

#include "worker/host.h"

#define TRANSPORT_CONNECT_MS 5000
#define TRANSPORT_TOTAL_MS   30000

struct transport {
	const struct host *host; /* borrowed */
	const char *ca_file;     /* NULL: libcurl's own */
	const char *ca_folder; /* NULL: none; else a hashed folder, which is read piece by piece */
};

/* Looks where the system keeps its certificates. */
void transport_init(struct transport *transport, const struct host *host);
/* Sets the options of a fresh or reset handle. False when libcurl lacks memory. */
bool transport_set_up(const struct transport *transport, CURL *easy);
