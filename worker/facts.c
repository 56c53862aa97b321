/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "proto/base/bytes.h"
#include "proto/base/fd.h"

bool facts_read(const char *root, const char *path, char *to, uint32_t room)
{
	char full[PATH_BYTES_MAX + SHORT_TEXT_BYTES_MAX];
	int size = snprintf(full, sizeof(full), "%s%s", root, path);
	to[0] = '\0';
	if (size < 0 || (size_t)size >= sizeof(full))
		return false;
	/* System paths are links on NixOS, so they are followed. */
	own_fd fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	ssize_t have = fd_read_all(fd, to, room);
	if (have < 0 || (uint32_t)have >= room) {
		to[0] = '\0';
		return false;
	}
	to[have] = '\0';
	return true;
}

static bool copy_word(const char *text, char *to, uint32_t room)
{
	size_t size = strcspn(text, " \t\r\n");
	if (size == 0 || size >= room)
		return false;
	memcpy(to, text, size);
	to[size] = '\0';
	return true;
}

void facts_look(struct facts_source *source, struct wall now, struct facts *facts)
{
	*facts = (struct facts){0};
	facts->commit_verdict = facts_commit(source->repo_dir, facts->commit);
	facts->wants_clone = source->repo_url && source->repo_url[0] &&
			     facts->commit_verdict == FACTS_COMMIT_NONE;
	if (source->nixpkgs_version[0])
		text_copy(text_of(source->nixpkgs_version), facts->system, sizeof(facts->system));
	else
		facts->ask_system = !facts_system(source->root, facts->system);
	facts_release(source->root, facts->os_name, facts->os_version);
	facts_metrics(source->root, now, &source->cpu, &facts->metrics);
}

static bool is_hash(const char *word)
{
	size_t size = strspn(word, "0123456789abcdef");
	return word[size] == '\0' && (size == 40 || size == 64);
}

static bool take_version(const char *text, char *to)
{
	json_t *root = json_loads(text, 0, NULL);
	const char *version = json_string_value(json_object_get(root, "nixosVersion"));
	bool done = copy_word(version ? version : root ? "" : text, to, COMMIT_BYTES_MAX + 1);
	json_decref(root);
	return done;
}

bool facts_probed(struct text name, struct text output, char *to)
{
	char text[PROBE_OUTPUT_BYTES_MAX + 1];
	to[0] = '\0';
	text_copy(output, text, sizeof(text));
	if (text_is(name, "git-head")) {
		if (copy_word(text, to, COMMIT_BYTES_MAX + 1) && is_hash(to))
			return true;
		to[0] = '\0';
		return false;
	}
	if (text_is(name, "clone"))
		return true; /* its exit code said it */
	if (text_is(name, "nixos-version"))
		return take_version(text, to);
	if (text_is(name, "lock-age") && copy_word(text, to, COMMIT_BYTES_MAX + 1) &&
		to[strspn(to, "0123456789")] == '\0')
		return true;
	to[0] = '\0';
	return false;
}
