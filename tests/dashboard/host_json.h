/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How a host looks to the page and to tests: everything that is known of it, its token apart. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "tests/dashboard/host.h"

/* What the brief form, which is the page's, shows of a host. */
#define HOST_JSON_BRIEF_ROWS   12
#define HOST_JSON_BRIEF_OUTPUT 4000 /* characters at the end of each output */

/* A new reference, or NULL without memory. */
json_t *host_json(const struct host *host, bool brief, struct mono now);
