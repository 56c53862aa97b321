/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/scripts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/runner/steps.h"

static bool is_script(int folder, const char *name, enum protocol protocol)
{
	size_t size = strlen(name);
	if (size < 4 || name[0] == '.' || strcmp(name + size - 3, ".sh") != 0)
		return false;
	return protocol == PROTOCOL_HTTP ? name[0] == 'T' : faccessat(folder, name, X_OK, 0) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All of them, sorted; false: there are more than TEST_SCRIPTS_MAX, or no memory. What was found is
 * the caller's either way. */
static bool collect(
	DIR *stream, enum protocol protocol, char *found[TEST_SCRIPTS_MAX], uint32_t *count)
{
	const struct dirent *entry;
	while ((entry = readdir(stream))) {
		if (!is_script(dirfd(stream), entry->d_name, protocol))
			continue;
		errno = E2BIG;
		if (*count == TEST_SCRIPTS_MAX || !(found[*count] = strdup(entry->d_name)))
			return false;
		(*count)++;
	}
	qsort(found, *count, sizeof(found[0]), by_name);
	return true;
}

/* Puts the names one behind the other and frees them. */
static char *join(char *found[], uint32_t count)
{
	size_t total = 1, at = 0;
	for (uint32_t i = 0; i < count; i++)
		total += strlen(found[i]) + 1;
	char *names = calloc(1, total);
	for (uint32_t i = 0; i < count; i++) {
		size_t size = strlen(found[i]) + 1;
		if (names)
			memcpy(names + at, found[i], size);
		at += size;
		free(found[i]);
	}
	return names;
}

int scripts_list(const struct plan_command *plan, char **names, uint32_t *count, char *reason)
{
	char path[STEP_TEXT_MAX];
	char *found[TEST_SCRIPTS_MAX];
	enum protocol protocol = (enum protocol)plan->protocol;
	snprintf(path, sizeof(path), "%.*s/hosts/%.*s/tests", TEXT_ARGS(plan->repo),
		TEXT_ARGS(plan->host));
	*count = 0;
	if (plan->repo.size == 0) {
		snprintf(reason, REASON_BYTES_MAX + 1, "{repo} is not configured on this host");
		return -1;
	}
	DIR *stream = opendir(path);
	if (!stream && errno != ENOENT) {
		snprintf(reason, REASON_BYTES_MAX + 1, "%.200s cannot be read: %s", path,
			strerror(errno));
		return -1;
	}
	bool is_whole = !stream || collect(stream, protocol, found, count);
	int failed = errno;
	if (stream)
		closedir(stream);
	if (!is_whole) {
		for (uint32_t i = 0; i < *count; i++)
			free(found[i]);
		*count = 0;
		if (failed == E2BIG)
			snprintf(reason, REASON_BYTES_MAX + 1,
				"there are more than %d test scripts in %.200s", TEST_SCRIPTS_MAX,
				path);
		else
			snprintf(reason, REASON_BYTES_MAX + 1, "%.200s cannot be read: %s", path,
				strerror(failed));
		return -1;
	}
	if (*count == 0 && protocol != PROTOCOL_HTTP) {
		snprintf(reason, REASON_BYTES_MAX + 1,
			"there is no executable test script in %.200s", path);
		return -1;
	}
	*names = join(found, *count);
	if (!*names) {
		snprintf(reason, REASON_BYTES_MAX + 1, "no memory for the names of the tests");
		return -1;
	}
	return 0;
}
