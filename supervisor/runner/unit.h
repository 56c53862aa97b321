/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A systemd unit outside the runner's tree, in which a command may go on: NixOS hands activations
 * to one. Its own tools are asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum unit_state {
	UNIT_ABSENT, /* there is no systemd */
	UNIT_SILENT, /* systemd does not answer: it may go on */
	UNIT_IDLE,   /* it does not go on, and how it ended is forgotten, or it never was */
	UNIT_ACTIVE,
	UNIT_ENDED, /* code says how */
};

struct unit {
	enum unit_state state;
	int64_t code;
	char invocation[64]; /* of the last time it was seen active; empty: never */
};

/* Looks at it. unit is zeroed at first and kept between looks: an end is told of the invocation
 * that was seen active, or, where none was, of the last one since wall_ms. A transient unit is
 * forgotten as soon as it ends; the journal is asked then, which not every account may read. */
void unit_look(struct unit *unit, const char *name, int64_t since_wall_ms);
