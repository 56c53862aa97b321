/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nixfleet-worker: started by nixfleet-agent; by hand only to probe and to replay. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "worker/platform.h"
#include "worker/probe.h"
#include "worker/replay.h"
#include "worker/sandbox.h"
#include "worker/shell.h"

#define EXIT_USAGE  64
#define EXIT_SYSTEM 111

static const char help[] =
	"Usage: nixfleet-worker [--probe URL | --replay [--print] FILE | --version | --help]\n"
	"\n"
	"Talks to the dashboard for nixfleet-agent, which starts it. By hand:\n"
	"\n"
	"  --probe URL            resolve and connect; exit 1 and say why when that fails\n"
	"  --probe-tls URL CA PIN the same with TLS, as the worker speaks it; '' for no CA, no "
	"pin\n"
	"  --replay FILE          feed a recording through the worker's decisions; exit 1 and "
	"name\n"
	"                         the first that differs\n"
	"  --replay --print FILE  print each event and what was decided, too\n"
	"  --version              print the version\n"
	"  --help                 print this\n";

static int usage_error(const char *what, const char *argument)
{
	fprintf(stderr, "nixfleet-worker: %s%s (see nixfleet-worker --help)\n", what, argument);
	return EXIT_USAGE;
}

static int run_replay(int count, char **arguments)
{
	bool print = false;
	const char *path = NULL;
	for (int i = 0; i < count; i++) {
		if (strcmp(arguments[i], "--print") == 0)
			print = true;
		else if (arguments[i][0] == '-' || path)
			return usage_error("unknown argument ", arguments[i]);
		else
			path = arguments[i];
	}
	return path ? replay_file(path, print) : usage_error("--replay needs a file", "");
}

static int run_option(int count, char **arguments)
{
	const char *option = arguments[0];
	if (strcmp(option, "--replay") == 0)
		return run_replay(count - 1, arguments + 1);
	if (strcmp(option, "--probe") == 0)
		return count == 2 ? probe_url(arguments[1])
				  : usage_error("--probe needs a URL", "");
	if (strcmp(option, "--probe-tls") == 0)
		return count == 4 ? probe_tls(arguments[1], arguments[2], arguments[3])
				  : usage_error("--probe-tls needs a URL, a CA file and a pin", "");
	if (strcmp(option, "--help") == 0 && count == 1) {
		fputs(help, stdout);
		return 0;
	}
	if (strcmp(option, "--version") == 0 && count == 1) {
		puts("nixfleet-worker " NIXFLEET_VERSION);
		return 0;
	}
	return usage_error("unknown argument ", option);
}

static bool has_channel(void)
{
	int type = 0;
	socklen_t size = sizeof(type);
	return getsockopt(SHELL_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_STREAM;
}

/* Looked at before anything else is opened: a free number would soon be something else. */
static int find_flight(void)
{
	struct stat stat;
	if (fstat(SHELL_FLIGHT_FD, &stat) < 0 || !S_ISREG(stat.st_mode) ||
		stat.st_size < FLIGHT_BYTES || fd_cloexec(SHELL_FLIGHT_FD, true) < 0)
		return -1;
	return SHELL_FLIGHT_FD;
}

static int cannot_start(void)
{
	log_error("cannot start: %s", strerror(errno));
	return EXIT_SYSTEM;
}

static int run_worker(void)
{
	static struct shell shell;
	struct repository repository;
	int flight_fd = find_flight();
	if (!has_channel())
		return usage_error(
			"descriptor 3 is no channel: it is started by nixfleet-agent", "");
	if (!platform_end_with_parent())
		return 0;
	/* When to end is the supervisor's decision: a signal to the group must not come first. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	log_open("nixfleet-worker");
	if (repository_fork(&repository) < 0)
		return cannot_start();
	if (!sandbox_enter())
		log_warn("there is no sandbox: %s", strerror(errno));
	if (fd_nonblocking(SHELL_CHANNEL_FD) < 0 || fd_cloexec(SHELL_CHANNEL_FD, true) < 0 ||
		curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		shell_init(&shell, SHELL_CHANNEL_FD, flight_fd, &repository) < 0)
		return cannot_start();
	return shell_run(&shell);
}

int main(int count, char **arguments)
{
	int code = count > 1 ? run_option(count - 1, arguments + 1) : run_worker();
	fflush(stdout);
	/* Not exit(): a look-up that hangs in a thread must not hold the process. */
	_exit(code);
}
