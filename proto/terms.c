/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/terms.h"

#include <inttypes.h>
#include <stdio.h>

#define X(NAME, id, text) \
	case id:          \
		return text;
#define NAME_FUNCTION(function, LIST)        \
	const char *function(uint64_t value) \
	{                                    \
		switch (value) {             \
			LIST(X)              \
		}                            \
		return "?";                  \
	}
NAME_FUNCTION(protocol_name, PROTOCOLS)
NAME_FUNCTION(origin_name, ORIGINS)
NAME_FUNCTION(outcome_name, OUTCOMES)
NAME_FUNCTION(link_name, LINKS)
NAME_FUNCTION(stream_name, STREAMS)
NAME_FUNCTION(finding_name, FINDINGS)
#undef X

void outcome_text(uint64_t outcome, int64_t code, char *text)
{
	if (outcome == OUTCOME_EXITED || outcome == OUTCOME_SIGNALED)
		snprintf(text, OUTCOME_TEXT_BYTES, "%s %" PRId64, outcome_name(outcome), code);
	else
		snprintf(text, OUTCOME_TEXT_BYTES, "%s", outcome_name(outcome));
}
