/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "proto/base/bytes.h"
#include "proto/base/fd.h"
#include "worker/platform.h"

#define FACTS_PATH_BYTES (PATH_BYTES_MAX + SHORT_TEXT_BYTES_MAX)

static bool join(char *to, const char *root, const char *path)
{
	size_t root_size = strlen(root), size = strlen(path) + 1;
	if (root_size + size > FACTS_PATH_BYTES)
		return false;
	memcpy(to, root, root_size);
	memcpy(to + root_size, path, size);
	return true;
}

bool facts_stamp(const char *root, const char *path, struct facts_stamp *stamp)
{
	char full[FACTS_PATH_BYTES];
	struct stat seen;
	*stamp = (struct facts_stamp){0};
	if (!join(full, root, path) || stat(full, &seen) < 0)
		return false;
	*stamp = (struct facts_stamp){.device = (uint64_t)seen.st_dev,
		.inode = (uint64_t)seen.st_ino,
		.bytes = (uint64_t)seen.st_size,
		.modified_ns = platform_modified_ns(&seen)};
	return true;
}

bool facts_stamp_is(const struct facts_stamp *stamp, const struct facts_stamp *other)
{
	return stamp->device == other->device && stamp->inode == other->inode &&
	       stamp->bytes == other->bytes && stamp->modified_ns == other->modified_ns;
}

bool facts_read(const char *root, const char *path, char *to, uint32_t room)
{
	char full[FACTS_PATH_BYTES];
	to[0] = '\0';
	if (!join(full, root, path))
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

static void look_thoroughly(struct facts_source *source)
{
	if (!source->nixpkgs_version[0])
		facts_version(source->root, &source->version);
	facts_release(source->root, &source->release);
	source->has_stasysmo = facts_has_stasysmo(source->root);
}

void facts_look(struct facts_source *source, struct mono now, struct wall wall, struct facts *facts)
{
	bool is_thorough = mono_reached(now, source->thorough_due);
	const char *version = source->nixpkgs_version;
	if (is_thorough) {
		source->thorough_due = mono_after(now, FACTS_THOROUGH_MS);
		look_thoroughly(source);
	}
	if (!version[0])
		version = source->version.text;
	*facts = (struct facts){.ask_system = !version[0]};
	text_copy(text_of(version), facts->system, sizeof(facts->system));
	memcpy(facts->os_name, source->release.name, sizeof(facts->os_name));
	memcpy(facts->os_version, source->release.version, sizeof(facts->os_version));
	facts_metrics(source->root, wall, source->has_stasysmo, &source->kernel, &facts->metrics);
}

void facts_changed(struct facts_source *source)
{
	source->thorough_due = (struct mono){0};
}

void facts_checkout_look(
	struct facts_checkout_source *source, bool is_thorough, struct facts_checkout *checkout)
{
	char before[COMMIT_BYTES_MAX + 1];
	memcpy(before, source->repository.commit, sizeof(before));
	checkout->verdict = facts_commit(
		&source->repository, source->repo_dir, is_thorough, checkout->commit);
	if (source->wants_lock && (is_thorough || strcmp(before, checkout->commit) != 0))
		facts_lock(source->repo_dir, &source->lock);
	memcpy(checkout->lock_hash, source->lock.hash, sizeof(checkout->lock_hash));
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
