/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The service manager's datagram protocol (sd_notify(3)). Without NOTIFY_SOCKET it does nothing. */
#pragma once

#include <stdint.h>

struct notify {
	int fd; /* -1: nobody listens */
	uint64_t
		watchdog_ms; /* how often WATCHDOG=1 is due, 0: never; half of what was asked for */
};

void notify_open(struct notify *notify);
void notify_close(struct notify *notify);
/* Sends "READY=1", "STATUS=…" and the like. Never blocks; a full socket loses the message. */
void notify_send(const struct notify *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
