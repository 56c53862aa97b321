/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A question to the name service, which may be silent: asked in a child that has LOOKUP_MS and
 * nothing of its parent's but a pipe. Its libraries are never loaded here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LOOKUP_MS 2000

/* The answer is size bytes, zero before look fills it in; it must fit a pipe. False: there is none
 * in time, and nothing was written to answer. */
bool lookup_ask(void (*look)(void *answer, const char *question), const char *question,
	void *answer, size_t size);
