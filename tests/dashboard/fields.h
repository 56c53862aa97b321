/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the server accepts in a body: one table row per field. Fields without a row are accepted
 * unseen, as the original does. Keeps nothing.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

enum fields_body {
	FIELDS_REGISTER,
	FIELDS_STATUS,
	FIELDS_PROGRESS,
};

/* The name of the first illegal or missing field, or NULL when all is well. */
const char *fields_check(enum fields_body body, const json_t *json);

/* ^[a-zA-Z][a-zA-Z0-9-]{0,62}$ */
bool fields_host_id(const char *id);
