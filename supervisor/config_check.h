/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nixfleet-agent --check: says what was found and tries the dashboard and the repository. */
#pragma once

#include "supervisor/config.h"

/* 0 when all of it works, else 1. Writes to standard output; starts one probe. */
int config_check(const struct config *config);
