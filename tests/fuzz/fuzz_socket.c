/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a WebSocket dashboard may send, and lines of output: messages never break their reader, and
 * every line becomes one JSON text that any reader takes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "proto/base/check.h"
#include "worker/notice.h"
#include "worker/outgoing.h"
#include "worker/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct text text)
{
	struct bytes message;
	bytes_init(&message, 1024 * 1024);
	check(outgoing_line(text, "stderr", "switch", true, &message) == 0);
	json_t *root = json_loadb((const char *)message.data, message.size, 0, NULL);
	check(root != NULL);
	check(json_is_string(json_object_get(json_object_get(root, "payload"), "line")));
	json_decref(root);
	bytes_finish(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text text = {(const char *)data, (uint32_t)size};
	struct notice notice;
	struct agent_event event = {0};
	struct upgrade upgrade = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
	if (notice_read(text, &notice, &event) == NOTICE_GOOD && event.type == EVENT_TOLD)
		check(event.told.command.size > 0 && event.told.command.size <= COMMAND_BYTES_MAX);
	if (upgrade_read(&upgrade, text) == UPGRADE_GOOD)
		check(upgrade.head_bytes <= size);
	check_line(text);
	return 0;
}
