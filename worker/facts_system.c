/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The system's version and name. */
#include <string.h>

#include "proto/base/bytes.h"
#include "worker/facts.h"

#define RELEASE_BYTES_MAX 4096

bool facts_system(const char *root, char *to)
{
	char text[SHORT_TEXT_BYTES_MAX];
	if (!facts_read(root, "/run/current-system/nixos-version", text, sizeof(text)))
		return false;
	text[strcspn(text, " \t\r\n")] = '\0';
	text_copy(text_of(text), to, FACT_TEXT_BYTES_MAX + 1);
	return to[0] != '\0';
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

void facts_release(const char *root, char *name, char *version)
{
	char text[RELEASE_BYTES_MAX];
	name[0] = version[0] = '\0';
	if (!facts_read(root, "/etc/os-release", text, sizeof(text)) &&
		!facts_read(root, "/usr/lib/os-release", text, sizeof(text)))
		return;
	take_value(text, "NAME", name);
	take_value(text, "VERSION_ID", version);
}
