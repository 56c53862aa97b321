/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/ops.h"

#include <stddef.h>
#include <string.h>

#define ON_HTTP      (1u << PROTOCOL_HTTP)
#define ON_WEBSOCKET (1u << PROTOCOL_WEBSOCKET)
#define ON_BOTH      (ON_HTTP | ON_WEBSOCKET)
#define MINUTES(n)   ((n)*60u * 1000u)

#include "supervisor/ops.def"

const struct op *ops_find(struct text name, enum protocol protocol)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if ((ops[i].protocols & (1u << protocol)) && text_is(name, ops[i].name))
			return &ops[i];
	}
	return NULL;
}

const struct op *ops_action(struct text command)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		const char *name = ops[i].name;
		if (ops[i].class == OP_ACTION && strncmp(name, command.data, command.size) == 0 &&
			name[command.size] == '-')
			return &ops[i];
	}
	return NULL;
}

const struct op *ops_all(uint32_t *count)
{
	*count = sizeof(ops) / sizeof(ops[0]);
	return ops;
}
