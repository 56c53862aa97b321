/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/kept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/frame.h"
#include "supervisor/platform.h"

#define SCHEMA_DEF    "supervisor/kept.def"
#define SCHEMA_PREFIX kept
#include "proto/schema_functions.h"

static void set_aside(int folder, const char *why)
{
	if (renameat(folder, KEPT_NAME, folder, KEPT_NAME ".bad") == 0)
		log_warn(KEPT_NAME " in the state folder is set aside as " KEPT_NAME ".bad: %s",
			why);
	else
		log_warn(KEPT_NAME " in the state folder is not used: %s; it cannot be renamed: %s",
			why, strerror(errno));
}

/* What cannot be opened or read now is left where it is, as a record is: a disk that fails or a
 * table that is full says nothing of what stands in it. Only what is no such file by its kind is
 * set aside. */
static void judge_unread(int folder, int error)
{
	if (error == ELOOP || error == EISDIR || error == ENXIO || error == EFBIG)
		set_aside(folder, strerror(error));
	else if (error != ENOENT)
		log_warn(KEPT_NAME " in the state folder cannot be read, so a pause is not kept to "
				   "now: %s",
			strerror(error));
}

/* In the same boot what has passed since is known; after another, the wall clock has to say. */
static uint64_t left_now(const struct kept_pause *kept)
{
	char boot[BOOT_ID_BYTES];
	uint64_t now_ms = mono_now().ns / NS_PER_MS;
	platform_boot_id(boot);
	if (kept->left_ms == PAUSE_FOR_EVER || !text_is(kept->boot, boot) || now_ms < kept->mono_ms)
		return kept->left_ms;
	uint64_t passed = now_ms - kept->mono_ms;
	return passed < kept->left_ms ? kept->left_ms - passed : 0;
}

void kept_read(int folder, struct rules_kept_pause *pause, char reason[SHORT_TEXT_BYTES_MAX + 1])
{
	char data[FRAME_BYTES_MAX];
	struct frame frame;
	struct kept kept;
	*pause = (struct rules_kept_pause){.reason = TEXT_NONE};
	ssize_t size = fd_read_file(folder, KEPT_NAME, data, sizeof(data));
	if (size < 0) {
		judge_unread(folder, errno);
		return;
	}
	enum frame_verdict verdict = frame_parse(data, (size_t)size, &frame);
	if (verdict != FRAME_WHOLE || frame.bytes != (uint32_t)size) {
		set_aside(folder, verdict == FRAME_WHOLE ? "more follows what is known"
							 : frame_verdict_name(verdict));
		return;
	}
	enum schema_verdict decoded = kept_decode(frame.payload, &kept);
	if (decoded != SCHEMA_GOOD) {
		set_aside(folder, schema_verdict_name(decoded));
		return;
	}
	text_copy(kept.pause.reason, reason, SHORT_TEXT_BYTES_MAX + 1);
	*pause = (struct rules_kept_pause){.is_on = kept.pause.on,
		.until_wall_ms = kept.pause.until_wall_ms,
		.left_ms = left_now(&kept.pause),
		.reason = text_of(reason)};
}

int kept_write(int folder, const struct rules_pause *pause, uint64_t left_ms)
{
	char boot[BOOT_ID_BYTES];
	struct bytes bytes;
	platform_boot_id(boot);
	struct kept kept = {.type = KEPT_PAUSE,
		.pause = {.on = pause->is_on,
			.until_wall_ms = pause->until_wall_ms,
			.left_ms = left_ms,
			.mono_ms = mono_now().ns / NS_PER_MS,
			.boot = text_of(boot),
			.reason = text_of(pause->reason)}};
	bytes_init(&bytes, FRAME_BYTES_MAX);
	int done = kept_encode(&kept, &bytes);
	if (done == 0)
		done = fd_replace_file(folder, KEPT_NAME, bytes.data, bytes.size, 0600);
	int kept_errno = errno;
	bytes_finish(&bytes);
	errno = kept_errno;
	return done;
}
