/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The agent's status, once or for as long as one looks. */
#pragma once

#include "supervisor/nfctl/options.h"

/* Asks and shows it once; json_flags are jansson's. An exit code of nfctl. */
int status_show(const struct options *options, size_t json_flags);
/* Shows it again and again; ends only with a signal or its output. */
int watch_status(const struct options *options);
