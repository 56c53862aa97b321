/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/stored.h"

#define SCHEMA_DEF    "supervisor/stored.def"
#define SCHEMA_PREFIX stored
#include "proto/schema_functions.h"

struct stored_found stored_from_record(struct text run, const struct record *record)
{
	return (struct stored_found){
		.run = run,
		.state = record->state,
		.told = record->told,
		.sequence = record->sequence,
		.origin = record->origin,
		.command = text_of(record->command),
		.wall_ms = record->accepted_wall_ms,
		.ended_wall_ms = record->ended_wall_ms,
		.pid = record->pid,
		.start_ticks = record->start_ticks,
		.mono_ms = record->started_mono_ms,
		.deadline_ms = record->deadline_ms,
		.outcome = record->outcome,
		.code = record->code,
		.reason = text_of(record->reason),
		.summary = text_of(record->summary),
	};
}

void stored_to_record(const struct stored_found *found, struct record *record)
{
	*record = (struct record){
		.state = (enum record_state)found->state,
		.told = (enum record_told)found->told,
		.sequence = found->sequence,
		.origin = (enum origin)found->origin,
		.accepted_wall_ms = found->wall_ms,
		.ended_wall_ms = found->ended_wall_ms,
		.pid = found->pid,
		.start_ticks = found->start_ticks,
		.started_mono_ms = found->mono_ms,
		.deadline_ms = found->deadline_ms,
		.outcome = (enum outcome)found->outcome,
		.code = found->code,
	};
	text_copy(found->command, record->command, sizeof(record->command));
	text_copy(found->reason, record->reason, sizeof(record->reason));
	text_copy(found->summary, record->summary, sizeof(record->summary));
}
