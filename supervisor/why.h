/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the agent waits for right now, in words, from memory alone. */
#pragma once

#include "proto/control.h"
#include "supervisor/shell.h"

/* Says each thing that is waited for, the outermost first; nothing when there is none. Texts are
 * lent for the call. */
void why_list(const struct shell *shell, struct mono now,
	void (*say)(void *data, const struct control *control), void *data);
