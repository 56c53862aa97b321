/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/message.h"

#define SCHEMA_DEF    "proto/message.def"
#define SCHEMA_PREFIX message
#include "proto/schema_functions.h"

#define FROM_WORKER_FIRST 32

bool message_is_from_worker(enum message_type type)
{
	return (int)type >= FROM_WORKER_FIRST;
}
