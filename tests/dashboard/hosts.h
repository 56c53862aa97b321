/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The hosts a dashboard knows, HOSTS_MAX at most. Owns them: a struct host is valid until
 * hosts_remove of it. hosts_init, then anything, then hosts_finish.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/dashboard/host.h"

#define HOSTS_MAX 256

struct hosts {
	struct host *list[HOSTS_MAX];
	uint32_t count;
};

void hosts_init(struct hosts *hosts);
void hosts_finish(struct hosts *hosts);
/* id in lower case; NULL where it is not known. */
struct host *hosts_find(const struct hosts *hosts, const char *id);
/* As hosts_find, or makes it; NULL when HOSTS_MAX are known. */
struct host *hosts_make(struct hosts *hosts, const char *id);
void hosts_remove(struct hosts *hosts, struct host *host);
/* An array of host_json of each; a new reference, or NULL without memory. */
json_t *hosts_json(const struct hosts *hosts, bool brief, struct mono now);
