/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Any bytes as a record file: it is read without harm, and a result can still be written to it. */
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record record, again;
	struct record_frame result = {.type = RECORD_RESULT,
		.result = {.outcome = OUTCOME_LOST,
			.reason = TEXT_NONE,
			.summary = TEXT_NONE,
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
	own_fd fd = memfd_create("record", MFD_CLOEXEC);
	check(fd >= 0);
	check(fd_write_all(fd, data, size) == 0);
	check(record_read(fd, &record) == 0);
	check(record.bytes <= RECORD_BYTES);
	if (record.is_foreign || record.state == RECORD_EMPTY)
		return 0;
	if (record_append(fd, &record, &result) < 0)
		return 0;
	check(record_read(fd, &again) == 0);
	check(again.state == RECORD_FINISHED);
	return 0;
}
