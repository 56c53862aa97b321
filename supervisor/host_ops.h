/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's own commands: which names /etc/nixfleet-agent/ops.d offers. Read at start. */
#pragma once

#include "supervisor/shell.h"

/* Adds each usable name to the rules; one that cannot be used is logged with the reason. */
void host_ops_read(struct shell *shell);
