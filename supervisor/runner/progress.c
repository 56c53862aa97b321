/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/progress.h"

#include <stddef.h>
#include <string.h>

#define PULL_STAGES   4
#define SWITCH_STAGES 3

/* The steps that have stages, and what each is when it begins. */
static const struct {
	const char *step;
	struct progress progress;
} steps[] = {
	{"pull", {"fetch", 1, PULL_STAGES}},
	{"fetch", {"fetch", 1, PULL_STAGES}},
	{"compare", {"compare", 2, PULL_STAGES}},
	{"reset", {"reset", 3, PULL_STAGES}},
	{"clean", {"clean", 4, PULL_STAGES}},
	{"lock", {"lock", 1, 1}},
	{"switch", {"evaluate", 1, SWITCH_STAGES}},
	{"rollback", {"activate", 3, SWITCH_STAGES}},
};

/* Which line of which step means which stage: it begins so, and holds the other. As printed by git,
 * nix, nixos-rebuild, home-manager and darwin-rebuild. Every row has a beginning: most lines of a
 * flood are out after their first letter. */
static const struct {
	const char *step, *begins, *holds;
	struct progress progress;
} lines[] = {
	{"pull", "From ", "", {"compare", 2, PULL_STAGES}},
	{"pull", "Updating ", "", {"reset", 3, PULL_STAGES}},
	{"pull", "Fast-forward", "", {"reset", 3, PULL_STAGES}},
	{"pull", "Already up to date", "", {"clean", 4, PULL_STAGES}},
	{"pull", " ", " changed, ", {"clean", 4, PULL_STAGES}},
	{"switch", "building the system configuration", "", {"evaluate", 1, SWITCH_STAGES}},
	{"switch", "evaluating ", "", {"evaluate", 1, SWITCH_STAGES}},
	{"switch", "these ", " derivations will be built", {"build", 2, SWITCH_STAGES}},
	{"switch", "this derivation will be built", "", {"build", 2, SWITCH_STAGES}},
	{"switch", "these ", " paths will be fetched", {"build", 2, SWITCH_STAGES}},
	{"switch", "this path will be fetched", "", {"build", 2, SWITCH_STAGES}},
	{"switch", "building '/nix/store/", "", {"build", 2, SWITCH_STAGES}},
	{"switch", "copying path '/nix/store/", "", {"build", 2, SWITCH_STAGES}},
	{"switch", "stopping the following units", "", {"activate", 3, SWITCH_STAGES}},
	{"switch", "activating the configuration", "", {"activate", 3, SWITCH_STAGES}},
	{"switch", "setting up /etc", "", {"activate", 3, SWITCH_STAGES}},
	{"switch", "Starting Home Manager activation", "", {"activate", 3, SWITCH_STAGES}},
	{"switch", "setting up user launchd services", "", {"activate", 3, SWITCH_STAGES}},
};

bool progress_of_step(const char *step, struct progress *progress)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strcmp(steps[i].step, step) != 0)
			continue;
		*progress = steps[i].progress;
		return true;
	}
	return false;
}

bool progress_of_line(const char *step, const char *line, struct progress *progress)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (*line != *lines[i].begins || strcmp(lines[i].step, step) != 0 ||
			strncmp(line, lines[i].begins, strlen(lines[i].begins)) != 0 ||
			!strstr(line, lines[i].holds))
			continue;
		*progress = lines[i].progress;
		return true;
	}
	return false;
}
