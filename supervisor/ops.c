/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/ops.h"

#include <stddef.h>

#define HOST_NAME_BYTES_MAX 32

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ON_HTTP      (1u << PROTOCOL_HTTP)
#define ON_WEBSOCKET (1u << PROTOCOL_WEBSOCKET)
#define ON_BOTH      (ON_HTTP | ON_WEBSOCKET)
#define MINUTES(n)   ((n)*60u * 1000u)

/* The steps. */
#define SEQUENCE(name)                         static const struct op_step name##_steps[] = {
#define STEP(stage, flags, failure, ...)       {stage, flags, failure, NULL, {__VA_ARGS__}},
#define SAYS(stage, flags, failure, says, ...) {stage, flags, failure, says, {__VA_ARGS__}},
#define SEQUENCE_END(name) \
	}                  \
	;                  \
	static const struct op_sequence name = {name##_steps, COUNT(name##_steps)};
#define OP(name, class, protocols, deadline_ms, unit, ...)
#include "supervisor/ops.def"
#undef SEQUENCE
#undef STEP
#undef SAYS
#undef SEQUENCE_END
#undef OP

/* The rows. */
static const struct op ops[] = {
#define SEQUENCE(name)
#define STEP(stage, flags, failure, ...)
#define SAYS(stage, flags, failure, says, ...)
#define SEQUENCE_END(name)
#define OP(name, class, protocols, deadline_ms, unit, ...) \
	{name, class, protocols, deadline_ms, unit, {__VA_ARGS__}},
#include "supervisor/ops.def"
};

const struct op *ops_find(struct text name, enum protocol protocol)
{
	uint32_t column = protocol == PROTOCOL_HTTP ? ON_HTTP : ON_WEBSOCKET;
	for (size_t i = 0; i < COUNT(ops); i++) {
		if ((ops[i].protocols & column) && text_is(name, ops[i].name))
			return &ops[i];
	}
	return NULL;
}

const struct op *ops_all(uint32_t *count)
{
	*count = COUNT(ops);
	return ops;
}

bool ops_host_name_is_legal(struct text name)
{
	if (name.size == 0 || name.size > HOST_NAME_BYTES_MAX)
		return false;
	for (uint32_t i = 0; i < name.size; i++) {
		char byte = name.data[i];
		bool is_letter = byte >= 'a' && byte <= 'z';
		bool is_other = (byte >= '0' && byte <= '9') || byte == '-';
		if (!is_letter && (i == 0 || !is_other))
			return false;
	}
	return true;
}
