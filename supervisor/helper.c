/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/helper.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/platform.h"

/* From the folder of this program. */
static const char *const beside[] = {
	"../libexec/nixfleet-agent",
	"runner",
	"../worker",
	".",
};

bool helper_path(const char *libexec, const char *name, char path[PATH_BYTES_MAX + 1])
{
	char own[PATH_BYTES_MAX + 1];
	if (*libexec) {
		snprintf(path, PATH_BYTES_MAX + 1, "%.900s/%s", libexec, name);
		return access(path, X_OK) == 0;
	}
	if (platform_own_path(own, sizeof(own)) == 0 && strrchr(own, '/')) {
		*strrchr(own, '/') = '\0';
		for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
			snprintf(path, PATH_BYTES_MAX + 1, "%.900s/%s/%s", own, beside[i], name);
			if (access(path, X_OK) == 0)
				return true;
		}
	}
	snprintf(path, PATH_BYTES_MAX + 1, "%s/%s", NIXFLEET_LIBEXEC_DIR, name);
	return access(path, X_OK) == 0;
}
