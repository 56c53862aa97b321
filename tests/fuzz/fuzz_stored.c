/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as what a store child says, and as the supervisor's view of a record. */
#include "proto/base/check.h"
#include "supervisor/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stored stored, again;
	struct record record;
	if (size > FRAME_BYTES_MAX ||
		stored_decode((struct text){(const char *)data, (uint32_t)size}, &stored) !=
			SCHEMA_GOOD ||
		stored.type != STORED_FOUND)
		return 0;
	stored_to_record(&stored.found, &record);
	again.found = stored_from_record(stored.found.run, &record);
	check(again.found.sequence == stored.found.sequence);
	check(again.found.mono_ms == stored.found.mono_ms);
	check(again.found.command.size == stored.found.command.size);
	return 0;
}
