/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Named runs: one fault each, as in the list of what must survive. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The exit code; 64 for a name that there is not. "all" runs each and prints TAP. */
int scenario_run(const char *name, bool is_tracing);
/* The most arrivals in a second of the first minute after the dashboard's return. */
uint32_t fleet_comes_back(uint32_t hosts, uint64_t spread_ms, bool is_websocket);
