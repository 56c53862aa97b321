/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/host_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "supervisor/ops.h"

static bool is_name(const char *name)
{
	size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return name[size] == '\0' && size >= 1 && size <= 32 && *name >= 'a' && *name <= 'z';
}

/* Why it cannot be used, or NULL. The runner looks again before it executes it. */
static const char *find_fault(int folder, const char *name)
{
	struct stat info;
	if (ops_find(text_of(name), PROTOCOL_WEBSOCKET) || ops_find(text_of(name), PROTOCOL_HTTP))
		return "a command of the agent's own has this name";
	if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return strerror(errno);
	if (!S_ISREG(info.st_mode))
		return "it is not a regular file";
	if (info.st_uid != 0 && info.st_uid != geteuid())
		return "it must belong to root";
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return "others can write to it";
	if (!(info.st_mode & S_IXUSR))
		return "it is not executable";
	return NULL;
}

/* Who can write to the folder can put in whatever he likes. */
static const char *find_folder_fault(int folder)
{
	struct stat info;
	if (fstat(folder, &info) < 0)
		return strerror(errno);
	if (info.st_uid != 0 && info.st_uid != geteuid())
		return "it must belong to root";
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return "others can write to it";
	return NULL;
}

void host_ops_read(struct shell *shell)
{
	const struct dirent *entry;
	DIR *stream = opendir(shell->config.ops_dir);
	if (!stream) {
		if (errno != ENOENT)
			log_warn("%s cannot be read: %s", shell->config.ops_dir, strerror(errno));
		return;
	}
	const char *folder_fault = find_folder_fault(dirfd(stream));
	if (folder_fault)
		log_warn("%s is not used: %s", shell->config.ops_dir, folder_fault);
	while (!folder_fault && (entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		const char *fault = is_name(entry->d_name)
					    ? find_fault(dirfd(stream), entry->d_name)
					    : "a name is a-z, then a-z, 0-9 and -, at most 32";
		if (!fault && !rules_add_host_op(&shell->rules, text_of(entry->d_name)))
			fault = "there are too many";
		if (fault)
			log_warn("%s/%.64s is not used: %s", shell->config.ops_dir, entry->d_name,
				fault);
	}
	closedir(stream);
}
