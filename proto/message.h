/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The messages between supervisor and worker as values. */
#pragma once

#define SCHEMA_DEF    "proto/message.def"
#define SCHEMA_PREFIX message
#include "proto/schema_declare.h"

/* Who may say it: a message in the wrong direction is a violation. */
bool message_is_from_worker(enum message_type type);
