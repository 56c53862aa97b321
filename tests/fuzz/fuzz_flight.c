/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a recording: the replay ends with a sentence, whatever they are. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "worker/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_quiet;
	char path[32];
	own_fd fd = memfd_create("recording", MFD_CLOEXEC);
	check(fd >= 0);
	check(fd_write_all(fd, data, size) == 0);
	if (!is_quiet)
		is_quiet = freopen("/dev/null", "w", stdout) != NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int code = replay_file(path, true);
	check(code == 0 || code == 1);
	return 0;
}
