/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *condition, const char *file, int line)
{
	char text[256];
	int size = snprintf(
		text, sizeof(text), "<2>check failed: %s at %s:%d\n", condition, file, line);
	if (size > 0) {
		ssize_t ignored = write(STDERR_FILENO, text, (size_t)size);
		(void)ignored;
	}
	abort();
}
