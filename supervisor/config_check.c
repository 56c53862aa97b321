/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/config_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/helper.h"
#include "supervisor/probe_run.h"

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

static int check_dashboard(const struct config *config)
{
	char path[PATH_BYTES_MAX + 1], line[REASON_BYTES_MAX] = "",
				       detail[URL_BYTES_MAX + REASON_BYTES_MAX];
	if (config->protocol == PROTOCOL_NONE)
		return say(true, "dashboard", "none: standalone, NIXFLEET_URL is unset");
	if (!helper_path(config->libexec, "nixfleet-worker", path))
		return say(
			false, "dashboard", "nixfleet-worker is not installed beside this program");
	const char *const argv[] = {"nixfleet-worker", "--probe", config->url, NULL};
	bool is_good = probe_run(path, argv, line, sizeof(line)) == 0;
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
