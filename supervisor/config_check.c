/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/config_check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"
#include "supervisor/helper.h"
#include "supervisor/spawn.h"

static int say(bool is_good, const char *what, const char *detail)
{
	printf("%-8s%-12s%s\n", is_good ? "ok" : "failed", what, detail);
	return is_good ? 0 : 1;
}

static int check_folder(const char *what, const char *path, const char *missing)
{
	struct stat info;
	char detail[PATH_BYTES_MAX + 64];
	if (!*path)
		return say(true, what, missing);
	if (stat(path, &info) < 0) {
		bool is_made = errno == ENOENT; /* by the agent itself */
		snprintf(detail, sizeof(detail), "%s%s%s", path, is_made ? " will be made" : ": ",
			is_made ? "" : strerror(errno));
		return say(is_made, what, detail);
	}
	snprintf(
		detail, sizeof(detail), "%s%s", path, S_ISDIR(info.st_mode) ? "" : " is no folder");
	return say(S_ISDIR(info.st_mode), what, detail);
}

static int check_repository(const struct config *config)
{
	char detail[PATH_BYTES_MAX + 64], git[PATH_BYTES_MAX + 8];
	if (!*config->repo_dir)
		return say(false, "repository", "none: set NIXFLEET_REPO_DIR or NIXFLEET_REPO_URL");
	snprintf(git, sizeof(git), "%s/.git", config->repo_dir);
	if (access(git, F_OK) == 0) {
		snprintf(detail, sizeof(detail), "%s", config->repo_dir);
		return say(true, "repository", detail);
	}
	snprintf(detail, sizeof(detail), "%s %s", config->repo_dir,
		config->is_isolated ? "will be cloned" : "is no git repository");
	return say(config->is_isolated, "repository", detail);
}

/* The probe's line, at most PROBE_KILL_MS long waited for. Its exit status, or -1. */
static int probe(const char *path, const char *url, char *line, size_t room)
{
	int ends[2], status = -1;
	if (pipe(ends) < 0)
		return -1;
	pid_t pid = spawn_helper(&(struct spawn){.path = path,
		.argv = (const char *const[]){"nixfleet-worker", "--probe", url, NULL},
		.fds = {-1, ends[1], STDERR_FILENO, -1, -1},
		.dies_with_us = true});
	close(ends[1]);
	struct pollfd wait = {.fd = ends[0], .events = POLLIN};
	if (pid > 0 && poll(&wait, 1, PROBE_KILL_MS) <= 0)
		kill(pid, SIGKILL);
	ssize_t size = pid > 0 ? fd_read_all(ends[0], line, room - 1) : 0;
	line[size > 0 ? size : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	close(ends[0]);
	if (pid <= 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int check_dashboard(const struct config *config)
{
	char path[PATH_BYTES_MAX + 1], line[REASON_BYTES_MAX] = "",
				       detail[URL_BYTES_MAX + REASON_BYTES_MAX];
	if (config->protocol == PROTOCOL_NONE)
		return say(true, "dashboard", "none: standalone, NIXFLEET_URL is unset");
	if (!helper_path(config->libexec, "nixfleet-worker", path))
		return say(
			false, "dashboard", "nixfleet-worker is not installed beside this program");
	bool is_good = probe(path, config->url, line, sizeof(line)) == 0;
	snprintf(detail, sizeof(detail), "%s%s%s", config->url, is_good ? " can be reached" : ": ",
		is_good ? ""
		: *line ? line
			: "the probe did not end in time");
	return say(is_good, "dashboard", detail);
}

int config_check(const struct config *config)
{
	char detail[64];
	int failed = 0;
	char path[PATH_BYTES_MAX + 1];
	say(true, "file", *config->file ? config->file : "none: the environment alone");
	say(true, "host", config->host);
	snprintf(detail, sizeof(detail), "%s, a heartbeat every %.1f s",
		protocol_name(config->protocol), (double)config->interval_ms / 1000);
	say(true, "protocol", detail);
	say(true, "manager", config->manager);
	failed |= check_folder("state", config->state_dir, "");
	failed |= check_folder("runtime", config->runtime_dir, "");
	failed |= say(helper_path(config->libexec, "nixfleet-runner", path), "runner",
		helper_path(config->libexec, "nixfleet-runner", path)
			? path
			: "nixfleet-runner is not installed beside this program");
	failed |= check_repository(config);
	failed |= check_dashboard(config);
	return failed;
}
