/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The system's version and name. */
#include <string.h>

#include "proto/base/bytes.h"
#include "worker/facts.h"

#define RELEASE_BYTES_MAX 4096

#define VERSION_PATH "/run/current-system/nixos-version"

void facts_version(const char *root, struct facts_version *version)
{
	char text[SHORT_TEXT_BYTES_MAX];
	struct facts_stamp seen;
	facts_stamp(root, VERSION_PATH, &seen);
	if (facts_stamp_is(&seen, &version->stamp))
		return;
	*version = (struct facts_version){.text = ""};
	if (!facts_read(root, VERSION_PATH, text, sizeof(text)))
		return;
	version->stamp = seen;
	text[strcspn(text, " \t\r\n")] = '\0';
	text_copy(text_of(text), version->text, sizeof(version->text));
}

/* The value of KEY= in lines of shell assignments, without its quotes. */
static void take_value(const char *lines, const char *key, char *to)
{
	size_t key_bytes = strlen(key);
	for (const char *line = lines; *line;) {
		size_t size = strcspn(line, "\r\n");
		if (size > key_bytes && line[key_bytes] == '=' &&
			memcmp(line, key, key_bytes) == 0) {
			const char *value = line + key_bytes + 1;
			size -= key_bytes + 1;
			if (size >= 2 && (*value == '"' || *value == '\'') &&
				value[size - 1] == *value) {
				value++;
				size -= 2;
			}
			text_copy(
				(struct text){value, (uint32_t)size}, to, FACT_TEXT_BYTES_MAX + 1);
			return;
		}
		line += size;
		line += *line != '\0';
	}
}

void facts_release(const char *root, struct facts_release *release)
{
	char text[RELEASE_BYTES_MAX];
	const char *path = "/etc/os-release";
	struct facts_stamp seen;
	if (!facts_stamp(root, path, &seen)) {
		path = "/usr/lib/os-release";
		facts_stamp(root, path, &seen);
	}
	if (facts_stamp_is(&seen, &release->stamp))
		return;
	*release = (struct facts_release){.name = ""};
	if (!facts_read(root, path, text, sizeof(text)))
		return;
	release->stamp = seen;
	take_value(text, "NAME", release->name);
	take_value(text, "VERSION_ID", release->version);
}
