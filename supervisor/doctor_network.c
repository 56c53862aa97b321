/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The way to the dashboard, by the worker's own probes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/time.h"
#include "supervisor/doctor.h"
#include "supervisor/helper.h"
#include "supervisor/probe_run.h"

#define CLOCK_OFF_S 60 /* more than that and certificates and records are read wrong */

static bool find_worker(struct doctor *doctor, const char *what, char path[PATH_BYTES_MAX + 1])
{
	if (doctor->config->protocol == PROTOCOL_NONE) {
		doctor_say(
			doctor, FINDING_OK, what, "not needed: standalone, NIXFLEET_URL is unset");
		return false;
	}
	if (helper_path(doctor->config->libexec, "nixfleet-worker", path))
		return true;
	doctor_say(doctor, FINDING_FAILED, what,
		"nixfleet-worker is not installed beside this program");
	return false;
}

void doctor_resolver(struct doctor *doctor)
{
	char path[PATH_BYTES_MAX + 1], line[REASON_BYTES_MAX];
	const char *const argv[] = {"nixfleet-worker", "--probe", doctor->config->url, NULL};
	if (!find_worker(doctor, "network", path))
		return;
	if (probe_run(path, argv, line, sizeof(line)) == 0)
		doctor_say(doctor, FINDING_OK, "network", "%s can be reached", doctor->config->url);
	else
		doctor_say(doctor, FINDING_FAILED, "network", "%s: %s", doctor->config->url,
			*line ? line : "the probe did not end in time");
}

static void compare_clock(struct doctor *doctor, const char *line)
{
	int64_t theirs = 0;
	int64_t ours = wall_ms(wall_now()) / 1000;
	if (sscanf(line, "date %" SCNd64, &theirs) != 1) {
		doctor_say(
			doctor, FINDING_OK, "clock", "the dashboard does not say what time it is");
		return;
	}
	int64_t off = ours > theirs ? ours - theirs : theirs - ours;
	if (off <= CLOCK_OFF_S)
		doctor_say(doctor, FINDING_OK, "clock", "%" PRId64 " s from the dashboard's", off);
	else
		doctor_say(doctor, FINDING_WARNING, "clock",
			"%" PRId64 " s %s the dashboard's: let the clock be set by NTP "
			"(timedatectl set-ntp true)",
			off, ours > theirs ? "ahead of" : "behind");
}

void doctor_tls(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	char path[PATH_BYTES_MAX + 1], line[REASON_BYTES_MAX];
	const char *const argv[] = {"nixfleet-worker", "--probe-tls", config->url, config->ca_file,
		config->pinned_pubkey, NULL};
	bool is_secure = strncmp(config->url, "https:", 6) == 0 ||
			 strncmp(config->url, "wss:", 4) == 0;
	if (!find_worker(doctor, "tls", path))
		return;
	if (probe_run(path, argv, line, sizeof(line)) != 0) {
		doctor_say(doctor, FINDING_FAILED, "tls", "%s: %s", config->url,
			*line ? line : "the probe did not end in time");
		return;
	}
	if (is_secure)
		doctor_say(doctor, FINDING_OK, "tls", "the certificate is good%s",
			*config->pinned_pubkey ? ", its key is the pinned one" : "");
	else
		doctor_say(doctor, FINDING_WARNING, "tls",
			"plain text: the token can be read on the way; use https:// or wss://");
	compare_clock(doctor, line);
}
