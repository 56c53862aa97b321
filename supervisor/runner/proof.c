/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/proof.h"

#include <inttypes.h>
#include <stdio.h>

void proof_text(const struct proof *proof, char *text, size_t room)
{
	*text = '\0';
	if (proof->ended_count > 0)
		snprintf(text, room, "; %u process%s ended by %s in %" PRIu64 " ms",
			(unsigned)proof->ended_count, proof->ended_count == 1 ? "" : "es",
			proof->method, proof->ended_ms);
}
