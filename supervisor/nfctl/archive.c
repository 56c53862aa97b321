/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/archive.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fd.h"

#define BLOCK_BYTES 512

/* Each field is text; numbers are octal. */
struct header {
	char name[100], mode[8], user[8], group[8], size[12], time[12], sum[8], kind, link[100];
	char magic[6], version[2], user_name[32], group_name[32], major[8], minor[8], prefix[155];
	char rest[12];
};
static_assert(sizeof(struct header) == BLOCK_BYTES, "a header is a block");

static void seal(struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 0;
	memset(header->sum, ' ', sizeof(header->sum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	snprintf(header->sum, sizeof(header->sum), "%06o", sum);
}

int archive_add(struct archive *archive, const char *name, struct text content)
{
	static const char zeros[BLOCK_BYTES];
	struct header header = {.kind = '0', .magic = "ustar", .version = {'0', '0'}};
	size_t over = content.size % BLOCK_BYTES;
	if (strlen(name) >= sizeof(header.name) ||
		strlen(archive->folder) >= sizeof(header.prefix)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(header.name, name, strlen(name));
	memcpy(header.prefix, archive->folder, strlen(archive->folder));
	snprintf(header.mode, sizeof(header.mode), "0000600");
	snprintf(header.user, sizeof(header.user), "0000000");
	snprintf(header.group, sizeof(header.group), "0000000");
	snprintf(header.size, sizeof(header.size), "%011" PRIo32, content.size);
	snprintf(header.time, sizeof(header.time), "%011" PRIo64,
		(uint64_t)archive->wall_s & 077777777777);
	seal(&header);
	if (fd_write_all(archive->fd, &header, sizeof(header)) < 0 ||
		fd_write_all(archive->fd, content.data, content.size) < 0)
		return -1;
	return over ? fd_write_all(archive->fd, zeros, BLOCK_BYTES - over) : 0;
}

int archive_finish(struct archive *archive)
{
	static const char zeros[2 * BLOCK_BYTES];
	return fd_write_all(archive->fd, zeros, sizeof(zeros));
}
