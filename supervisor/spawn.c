/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/platform.h"

/* What names a secret or a socket of the service manager's. */
static const char *const hidden[] = {
	"NIXFLEET_TOKEN",
	"NIXFLEET_TOKEN_FILE",
	"CREDENTIALS_DIRECTORY",
	"NOTIFY_SOCKET",
	"WATCHDOG_USEC",
	"WATCHDOG_PID",
	"LISTEN_FDS",
	"LISTEN_PID",
	"LISTEN_FDNAMES",
};

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* fails for those that cannot be changed: nothing to do */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves the descriptors above the target range first, so that none is overwritten before its turn.
 */
static int place_descriptors(const struct spawn *spawn)
{
	int high[SPAWN_FDS_MAX];
	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		int from = spawn->fds[i];
		if (from < 0 && i <= STDERR_FILENO)
			from = open("/dev/null", i == STDIN_FILENO ? O_RDONLY : O_WRONLY);
		if (from < 0) {
			high[i] = -1;
			continue;
		}
		high[i] = fcntl(from, F_DUPFD_CLOEXEC, SPAWN_FDS_MAX);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < SPAWN_FDS_MAX; i++) {
		if (high[i] < 0)
			close(i);
		else if (dup2(high[i], i) < 0)
			return -1;
	}
	return 0;
}

_Noreturn static void become(const struct spawn *spawn, pid_t parent)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		unsetenv(hidden[i]);
	reset_signals();
	if (spawn->dies_with_us && !platform_die_with_parent(parent))
		_exit(126);
	if ((spawn->prepare && spawn->prepare(spawn->data) < 0) || place_descriptors(spawn) < 0) {
		log_error("cannot prepare %s: %s", spawn->path, strerror(errno));
		_exit(126);
	}
	/* execv wants its argv writable by its type, not by what it does. */
	char *const *argv;
	memcpy(&argv, &spawn->argv, sizeof(argv));
	execv(spawn->path, argv);
	log_error("cannot execute %s: %s", spawn->path, strerror(errno));
	_exit(127);
}

pid_t spawn_helper(const struct spawn *spawn)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(spawn, parent);
	return pid;
}
