/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A tar archive (ustar) that is written member by member. */
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"

struct archive {
	int fd;             /* owned by the caller */
	const char *folder; /* in the archive; 155 bytes at most */
	int64_t wall_s;
};

/* name is below the folder, at most 99 bytes. 0, or -1 with errno. */
int archive_add(struct archive *archive, const char *name, struct text content);
/* The end of the archive. */
int archive_finish(struct archive *archive);
