/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/record_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"

#define NAME_ROOM (RUN_NAME_BYTES_MAX + 16)

int record_folder_open(int folder, const char *name, int flags)
{
	char path[NAME_ROOM];
	snprintf(path, sizeof(path), "%s.run", name);
	return openat(folder, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

void record_folder_remove(int folder, const char *name, const char *suffix)
{
	char path[NAME_ROOM];
	snprintf(path, sizeof(path), "%s%s", name, suffix);
	if (unlinkat(folder, path, 0) < 0 && errno != ENOENT)
		log_warn("%s cannot be removed: %s", path, strerror(errno));
}

static void set_aside(int folder, const char *name, const char *why)
{
	char from[NAME_ROOM], to[NAME_ROOM];
	snprintf(from, sizeof(from), "%s.run", name);
	snprintf(to, sizeof(to), "%s.aside", name);
	if (renameat(folder, from, folder, to) < 0)
		log_warn("%s cannot be used (%s) nor set aside: %s", from, why, strerror(errno));
	else
		log_warn("%s cannot be used and is now %s: %s", from, to, why);
}

static uint64_t output_size(int folder, const char *name)
{
	char path[NAME_ROOM];
	struct stat info;
	snprintf(path, sizeof(path), "%s.out", name);
	return fstatat(folder, path, &info, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)info.st_size : 0;
}

/* A file that cannot be opened now is left where it is: a disk that fails or a table that is full
 * says nothing of what stands in it. Only what is no record by its kind is set aside. */
static void judge_unopened(int folder, const char *name, int error)
{
	if (error == ELOOP || error == EISDIR || error == ENXIO)
		set_aside(folder, name, strerror(error));
	else if (error != ENOENT)
		log_warn("%s.run cannot be opened: %s", name, strerror(error));
}

/* True when the entry can be used. */
static bool read_entry(int folder, struct record_entry *entry)
{
	own_fd fd = record_folder_open(folder, entry->name, O_RDWR);
	struct stat info;
	if (fd < 0) {
		judge_unopened(folder, entry->name, errno);
		return false;
	}
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
		set_aside(folder, entry->name, "not a regular file");
		return false;
	}
	/* Shared: two that look must not take each other for a runner. */
	entry->is_live = flock(fd, LOCK_SH | LOCK_NB) < 0;
	if (record_read(fd, &entry->record) < 0) {
		log_warn("%s.run cannot be read: %s", entry->name, strerror(errno));
		return false;
	}
	if (entry->record.is_foreign) { /* a newer version's, which may come back: left in its place
					 */
		log_warn("%s.run is left alone: it has a frame that this version does not know",
			entry->name);
		return false;
	}
	if (entry->record.state == RECORD_EMPTY) {
		if (!entry->is_live)
			set_aside(folder, entry->name, "nothing good stands in it");
		return false;
	}
	entry->output_bytes = output_size(folder, entry->name);
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	const struct record_entry *left = a;
	const struct record_entry *right = b;
	return (left->record.sequence > right->record.sequence) -
	       (left->record.sequence < right->record.sequence);
}

/* "NAME.run" of a legal name: true, and name is set. */
static bool is_record(const char *file, char name[RUN_NAME_BYTES_MAX + 1])
{
	size_t size = strlen(file);
	if (size <= 4 || size - 4 > RUN_NAME_BYTES_MAX || strcmp(file + size - 4, ".run") != 0)
		return false;
	memcpy(name, file, size - 4);
	name[size - 4] = '\0';
	return record_name_is_legal(text_of(name));
}

/* What can be left out before others: the oldest that is finished. */
static uint64_t worth(const struct record_entry *entry)
{
	return entry->record.state == RECORD_FINISHED ? entry->record.sequence : UINT64_MAX;
}

/* The list is full: the new one takes the place of the one that is worth least. */
static void replace(struct record_list *list, const struct record_entry *entry)
{
	struct record_entry *least = &list->entries[0];
	for (uint32_t i = 1; i < list->count; i++) {
		if (worth(&list->entries[i]) < worth(least))
			least = &list->entries[i];
	}
	list->is_cut = true;
	if (worth(entry) > worth(least))
		*least = *entry;
}

static void add(struct record_list *list, uint32_t *room, const struct record_entry *entry)
{
	if (list->count == *room && *room < RECORD_FOLDER_MAX) {
		uint32_t wanted = *room ? *room * 2 : 32;
		if (wanted > RECORD_FOLDER_MAX)
			wanted = RECORD_FOLDER_MAX;
		struct record_entry *entries = realloc(list->entries, wanted * sizeof(*entries));
		if (entries) {
			list->entries = entries;
			*room = wanted;
		}
	}
	if (list->count < *room)
		list->entries[list->count++] = *entry;
	else if (list->count > 0)
		replace(list, entry);
}

int record_folder_list(int folder, struct record_list *list)
{
	uint32_t room = 0;
	const struct dirent *file;
	*list = (struct record_list){0};
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	if (!stream) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while ((file = readdir(stream))) {
		char name[RUN_NAME_BYTES_MAX + 1];
		if (!is_record(file->d_name, name))
			continue;
		struct record_entry entry = {0};
		memcpy(entry.name, name, sizeof(name));
		if (read_entry(folder, &entry))
			add(list, &room, &entry);
		else if (entry.is_live && entry.record.state == RECORD_EMPTY)
			list->is_unsettled = true;
	}
	closedir(stream);
	if (list->count > 0)
		qsort(list->entries, list->count, sizeof(list->entries[0]), by_sequence);
	return 0;
}

void record_folder_finish(struct record_list *list)
{
	free(list->entries);
	*list = (struct record_list){0};
}
