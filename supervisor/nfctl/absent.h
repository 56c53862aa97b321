/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Why no agent answers, as far as it can be seen from outside. */
#pragma once

#include "supervisor/nfctl/options.h"

/* One or two lines to standard error: a configuration that no agent would start with, in the
 * agent's own words; who holds the instance lock, or that its holder is gone. */
void absent_explain(const struct options *options);
