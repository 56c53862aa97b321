/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/dashboard/host_json.h"

void hosts_init(struct hosts *hosts)
{
	*hosts = (struct hosts){0};
}

static void destroy(struct host *host)
{
	host_finish(host);
	free(host);
}

void hosts_finish(struct hosts *hosts)
{
	for (uint32_t i = 0; i < hosts->count; i++)
		destroy(hosts->list[i]);
	hosts->count = 0;
}

struct host *hosts_find(const struct hosts *hosts, const char *id)
{
	for (uint32_t i = 0; i < hosts->count; i++) {
		if (strcmp(hosts->list[i]->id, id) == 0)
			return hosts->list[i];
	}
	return NULL;
}

struct host *hosts_make(struct hosts *hosts, const char *id)
{
	struct host *host = hosts_find(hosts, id);
	check(strlen(id) <= HOST_BYTES_MAX);
	if (host || hosts->count == HOSTS_MAX)
		return host;
	host = malloc(sizeof(*host));
	if (!host)
		return NULL;
	host_init(host, id);
	hosts->list[hosts->count++] = host;
	return host;
}

void hosts_remove(struct hosts *hosts, struct host *host)
{
	uint32_t at = 0;
	while (at < hosts->count && hosts->list[at] != host)
		at++;
	check(at < hosts->count);
	hosts->count--;
	memmove(&hosts->list[at], &hosts->list[at + 1],
		(hosts->count - at) * sizeof(hosts->list[0]));
	destroy(host);
}

json_t *hosts_json(const struct hosts *hosts, bool brief, struct mono now)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < hosts->count; i++)
		json_array_append_new(list, host_json(hosts->list[i], brief, now));
	return list;
}
