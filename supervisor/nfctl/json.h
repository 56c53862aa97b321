/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any frame as a JSON object: the fields of its table by their names. */
#pragma once

#include <jansson.h>

#include "proto/control.h"

/* A new reference, or NULL. What is no UTF-8 in texts becomes '?'. */
json_t *json_of_control(const struct control *control);
/* Prints with jansson's flags, such as JSON_INDENT(2), and frees. 0, or -1. */
int json_show(json_t *json, size_t flags);
