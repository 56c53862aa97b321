/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The gate's probe: a child that resolves and connects, because the supervisor never does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/helper.h"
#include "supervisor/shell.h"
#include "supervisor/spawn.h"

void probe_perform(struct shell *shell)
{
	char path[PATH_BYTES_MAX + 1], why[128];
	int ends[2] = {-1, -1};
	pid_t pid = -1;
	if (!helper_path(shell->config.libexec, "nixfleet-worker", path)) {
		snprintf(why, sizeof(why), "nixfleet-worker is not installed beside this program");
	} else if (child_count(shell, CHILD_PROBE) > 0 || child_socketpair(ends) < 0) {
		snprintf(why, sizeof(why), "socketpair: %s", strerror(errno));
	} else {
		struct spawn spawn = {.path = path,
			.argv = (const char *const[]){"nixfleet-worker", "--probe",
				shell->config.url, NULL},
			.fds = {-1, ends[1], STDERR_FILENO, -1, -1},
			.dies_with_us = true};
		pid = spawn_helper(&spawn);
		snprintf(why, sizeof(why), "fork: %s", strerror(errno));
	}
	fd_drop(&ends[1]);
	if (pid < 0) {
		fd_drop(&ends[0]);
		struct rules_event *event = shell_post(shell, EVENT_PROBED, why);
		if (event)
			event->probed.is_good = false;
		return;
	}
	child_add(shell, CHILD_PROBE, pid, ends[0])->kill_after_ms = PROBE_KILL_MS;
}

void probe_readable(struct child *child)
{
	uint32_t room = (uint32_t)sizeof(child->text) - 1 - child->text_size;
	char rest[256];
	/* What does not fit is read and dropped, so that the probe is never held up. */
	ssize_t got = room > 0 ? read(child->channel.fd, child->text + child->text_size, room)
			       : read(child->channel.fd, rest, sizeof(rest));
	if (got > 0 && room > 0)
		child->text_size += (uint32_t)got;
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		event_del(child->readable);
}

void probe_exited(struct child *child, int status)
{
	struct rules_event event = shell_event(EVENT_PROBED);
	char why[64];
	child->text[child->text_size] = '\0';
	child->text[strcspn(child->text, "\n")] = '\0';
	event.probed.is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	event.probed.reason = text_of(child->text);
	if (WIFSIGNALED(status)) {
		/* We take the limit away when we kill it. */
		if (child->kill_after_ms == 0)
			snprintf(why, sizeof(why), "the probe did not end within %d s",
				PROBE_KILL_MS / 1000);
		else
			snprintf(why, sizeof(why), "the probe died of signal %d", WTERMSIG(status));
		event.probed.reason = text_of(why);
	} else if (!event.probed.is_good && child->text[0] == '\0') {
		snprintf(why, sizeof(why), "the probe ended with code %d", WEXITSTATUS(status));
		event.probed.reason = text_of(why);
	}
	shell_turn(child->shell, &event);
}
