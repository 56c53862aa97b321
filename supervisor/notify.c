/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/limits.h"

static uint64_t watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && *pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 1000 / 2;
}

void notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*notify = (struct notify){.fd = -1};
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	own_fd fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || fd_cloexec(fd, true) < 0 || fd_nonblocking(fd) < 0 ||
		connect(fd, (const struct sockaddr *)&address, size) < 0)
		return;
	notify->fd = steal_fd(&fd);
	notify->watchdog_ms = watchdog_interval();
}

void notify_close(struct notify *notify)
{
	fd_drop(&notify->fd);
}

void notify_send(const struct notify *notify, const char *format, ...)
{
	char text[REASON_BYTES_MAX * 2];
	va_list args;
	if (notify->fd < 0)
		return;
	va_start(args, format);
	int size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (size <= 0)
		return;
	if ((size_t)size >= sizeof(text))
		size = (int)sizeof(text) - 1;
	ssize_t ignored = send(notify->fd, text, (size_t)size, MSG_NOSIGNAL);
	(void)ignored;
}
