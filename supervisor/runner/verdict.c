/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/verdict.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

static void say(char *to, const char *line)
{
	snprintf(to, SHORT_TEXT_BYTES_MAX + 1, "%s", line);
}

static void of_commits(const char *output, char *to)
{
	char *end;
	unsigned long behind = strtoul(output, &end, 10);
	if (end == output)
		say(to, "error: git does not say how far behind it is");
	else if (behind == 0)
		say(to, "ok: up to date");
	else
		snprintf(to, SHORT_TEXT_BYTES_MAX + 1, "outdated: %lu commit%s behind", behind,
			behind == 1 ? "" : "s");
}

static void of_lock(const char *output, int64_t wall_s, char *to)
{
	char *end;
	long long when = strtoll(output, &end, 10);
	if (end == output) {
		say(to, "error: no commit has a flake.lock");
		return;
	}
	/* A clock that is behind makes nothing older. */
	long long days = wall_s > when ? (wall_s - when) / DAY_S : 0;
	snprintf(to, SHORT_TEXT_BYTES_MAX + 1, "%s: flake.lock is %lld day%s old",
		wall_s - when <= (int64_t)LOCK_AGE_OK_DAYS * DAY_S ? "ok" : "outdated", days,
		days == 1 ? "" : "s");
}

/* Where the system that runs now is linked, by what manages it. */
static bool running_system(const struct plan_command *plan, char path[PATH_MAX])
{
	static const char *const links[] = {".local/state/home-manager/gcroots/current-home",
		".local/state/nix/profiles/home-manager"};
	char link[PATH_BYTES_MAX + 64];
	if (!text_is(plan->manager, "home-manager"))
		return realpath("/run/current-system", path) != NULL;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(link, sizeof(link), "%.*s/%s", TEXT_ARGS(plan->home), links[i]);
		if (realpath(link, path))
			return true;
	}
	return false;
}

/* [{"drvPath":"…","outputs":{"out":"/nix/store/…"}}]: a store path needs no unescaping. */
static void of_system(const char *output, const struct plan_command *plan, char *to)
{
	char path[PATH_MAX];
	const char *out = strstr(output, "\"out\":");
	size_t size = 0;
	if (out) {
		out += strlen("\"out\":");
		out += strspn(out, " \"");
		size = strcspn(out, "\"");
	}
	if (size == 0 || out[size] != '"')
		say(to, "error: nix does not say what it would build");
	else if (!running_system(plan, path))
		say(to, "error: what runs now is not known");
	else if (strlen(path) == size && memcmp(path, out, size) == 0)
		say(to, "ok: up to date");
	else
		say(to, "outdated: the configuration gives another system than the one that runs");
}

static void of_version(const char *output, char *to)
{
	char installed[64];
	size_t size = strcspn(output, "\r\n");
	while (size > 0 && output[size - 1] == ' ')
		size--;
	const char *word = output + size;
	while (word > output && word[-1] != ' ')
		word--;
	snprintf(installed, sizeof(installed), "%.*s", (int)(output + size - word), word);
	if (!*installed)
		say(to, "error: the installed agent does not say its version");
	else if (strcmp(installed, NIXFLEET_VERSION) == 0)
		snprintf(to, SHORT_TEXT_BYTES_MAX + 1, "ok: %s", installed);
	else
		snprintf(to, SHORT_TEXT_BYTES_MAX + 1, "outdated: %s runs, %s is installed",
			NIXFLEET_VERSION, installed);
}

void verdict_of(enum op_verdict verdict, struct text output, const struct plan_command *plan,
	int64_t wall_s, char *to)
{
	char text[PROBE_OUTPUT_BYTES_MAX + 1];
	text_copy(output, text, sizeof(text));
	*to = '\0';
	switch (verdict) {
	case VERDICT_NONE: break;
	case VERDICT_COMMITS: of_commits(text, to); break;
	case VERDICT_LOCK: of_lock(text, wall_s, to); break;
	case VERDICT_SYSTEM: of_system(text, plan, to); break;
	case VERDICT_VERSION: of_version(text, to); break;
	}
}
