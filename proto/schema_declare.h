/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Declares what SCHEMA_DEF lists, with names that begin with SCHEMA_PREFIX; the .c file includes
 * schema_functions.h with the same two names. For the prefix `output`:
 *
 *   struct output_chunk { … };           one per type; texts are lent
 *   enum output_type { OUTPUT_CHUNK, … };
 *   struct output { enum output_type type; union { struct output_chunk chunk; … }; };
 *   output_encode()                      appends a frame: 0, or -1 with errno as schema_encode
 *   output_decode()                      texts point into payload; valid only with SCHEMA_GOOD
 *   output_name(), output_schema()       for logs, and the table behind it
 *
 * Included once for each .def file, so it has no guard.
 */
#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/schema.h"
#include "proto/terms.h"

#ifndef SCHEMA_JOIN
#define SCHEMA_JOIN_(a, b) a##b
#define SCHEMA_JOIN(a, b)  SCHEMA_JOIN_(a, b)
#endif

#include "proto/schema_structs.h"

enum SCHEMA_JOIN(SCHEMA_PREFIX, _type) {
#include "proto/schema_ids.h"
};

struct SCHEMA_PREFIX {
	enum SCHEMA_JOIN(SCHEMA_PREFIX, _type) type;
	union {
		uint64_t begin; /* where each of them begins */
#include "proto/schema_members.h"
	};
};

int SCHEMA_JOIN(SCHEMA_PREFIX, _encode)(const struct SCHEMA_PREFIX *value, struct bytes *to);
enum schema_verdict SCHEMA_JOIN(SCHEMA_PREFIX, _decode)(
	struct text payload, struct SCHEMA_PREFIX *value);
const char *SCHEMA_JOIN(SCHEMA_PREFIX, _name)(enum SCHEMA_JOIN(SCHEMA_PREFIX, _type) type);
const struct schema *SCHEMA_JOIN(SCHEMA_PREFIX, _schema)(void);

#undef SCHEMA_DEF
#undef SCHEMA_PREFIX
