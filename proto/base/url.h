/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once

#include <stddef.h>

/* The text without what opens the place that it names: whoever may read where that is, need not be
 * let in. What is no URL stays as it is. */
void url_without_account(const char *url, char *to, size_t room);
