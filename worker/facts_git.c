/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The commit a repository stands on, read from git's files: loose, packed and detached refs, linked
 * worktrees. What is stored in another way is left to git.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "proto/base/bytes.h"
#include "proto/base/fd.h"
#include "worker/facts.h"

#define GIT_PARENTS_MAX      32
#define GIT_LINKS_MAX        5 /* a ref that names a ref, and so on */
#define GIT_TEXT_BYTES_MAX   FACTS_GIT_PATH_BYTES
#define GIT_PACKED_BYTES_MAX (64 * 1024 * 1024)
#define GIT_CONFIG_BYTES_MAX (256 * 1024)
#define GIT_PIECE_BYTES      16384

static bool join(char *to, const char *folder, const char *name)
{
	int size = snprintf(to, GIT_TEXT_BYTES_MAX, "%s/%s", folder, name);
	return size > 0 && size < GIT_TEXT_BYTES_MAX;
}

/* One line of a small file. False with errno. */
static bool read_line(const char *folder, const char *name, char *to)
{
	char path[GIT_TEXT_BYTES_MAX];
	if (!join(path, folder, name)) {
		errno = ENAMETOOLONG;
		return false;
	}
	ssize_t have = fd_read_file(AT_FDCWD, path, to, GIT_TEXT_BYTES_MAX - 1);
	if (have < 0)
		return false;
	to[have] = '\0';
	to[strcspn(to, "\r\n")] = '\0';
	return true;
}

/* A path that a file of git's names, taken from the folder where it stands. */
static bool follow(char *to, const char *folder, const char *named)
{
	return named[0] == '/' ? text_copy(text_of(named), to, GIT_TEXT_BYTES_MAX)
			       : join(to, folder, named);
}

/* Sets the folder where dir is the top of a worktree. */
static bool open_top(struct facts_repository *repository, const char *dir)
{
	struct stat stat_of;
	char line[GIT_TEXT_BYTES_MAX];
	if (!join(repository->folder, dir, ".git"))
		return false;
	if (stat(repository->folder, &stat_of) < 0) {
		repository->is_hidden = repository->is_hidden || errno == EACCES;
		return false;
	}
	if (S_ISDIR(stat_of.st_mode))
		return true;
	return read_line(dir, ".git", line) && strncmp(line, "gitdir: ", 8) == 0 &&
	       follow(repository->folder, dir, line + 8);
}

static bool find_repository(struct facts_repository *repository, const char *dir)
{
	char at[PATH_BYTES_MAX + 1];
	char line[GIT_TEXT_BYTES_MAX];
	if (!text_copy(text_of(dir), at, sizeof(at)))
		return false;
	for (int i = 0; i < GIT_PARENTS_MAX && at[0]; i++) {
		if (open_top(repository, at)) {
			if (read_line(repository->folder, "commondir", line))
				return follow(repository->common, repository->folder, line);
			memcpy(repository->common, repository->folder, sizeof(repository->common));
			return true;
		}
		char *slash = strrchr(at, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	return false;
}

static bool is_commit(const char *word)
{
	size_t size = strspn(word, "0123456789abcdef");
	return word[size] == '\0' && (size == 40 || size == 64);
}

/* Lines of any file, with bounded memory; a longer line comes in pieces, of which none can match.
 */
struct lines {
	FILE *file;
	uint64_t left;
	char text[GIT_TEXT_BYTES_MAX];
};

static bool lines_open(struct lines *lines, const char *folder, const char *name, uint64_t most)
{
	char path[GIT_TEXT_BYTES_MAX];
	own_fd fd = -1;
	lines->left = most;
	/* Opening a FIFO would wait for its writer. */
	if (join(path, folder, name))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	lines->file = fd < 0 ? NULL : fdopen(fd, "r");
	if (lines->file)
		steal_fd(&fd);
	return lines->file != NULL;
}

static bool lines_next(struct lines *lines)
{
	if (!fgets(lines->text, sizeof(lines->text), lines->file))
		return false;
	size_t size = strlen(lines->text);
	if (size > lines->left)
		return false;
	lines->left -= size;
	lines->text[strcspn(lines->text, "\r\n")] = '\0';
	return true;
}

/* `HASH NAME` */
static bool is_packed_as(char *line, const char *name)
{
	char *space = strchr(line, ' ');
	if (!space || strcmp(space + 1, name) != 0)
		return false;
	*space = '\0';
	return is_commit(line);
}

static bool find_packed(const struct facts_repository *repository, const char *name, char *to)
{
	struct lines lines;
	bool found = false;
	if (!lines_open(&lines, repository->common, "packed-refs", GIT_PACKED_BYTES_MAX))
		return false;
	while (!found && lines_next(&lines))
		found = is_packed_as(lines.text, name);
	if (found)
		text_copy(text_of(lines.text), to, GIT_TEXT_BYTES_MAX);
	fclose(lines.file);
	return found;
}

static char *trim(char *text)
{
	size_t size = strlen(text);
	while (size > 0 && isspace((unsigned char)text[size - 1]))
		text[--size] = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* Whether refs are stored in files: extensions.refStorage says otherwise. */
static bool has_files(const struct facts_repository *repository)
{
	struct lines lines;
	bool in_extensions = false;
	bool is_files = true;
	if (!lines_open(&lines, repository->common, "config", GIT_CONFIG_BYTES_MAX))
		return true;
	while (lines_next(&lines)) {
		char *line = trim(lines.text);
		char *value = strchr(line, '=');
		if (*line == '[') {
			in_extensions = strcasecmp(line, "[extensions]") == 0;
		} else if (in_extensions && value) {
			*value = '\0';
			if (strcasecmp(trim(line), "refstorage") == 0)
				is_files = strcasecmp(trim(value + 1), "files") == 0;
		}
	}
	fclose(lines.file);
	return is_files;
}

static bool is_legal_ref(const char *name)
{
	return strncmp(name, "refs/", 5) == 0 && !strstr(name, "..");
}

/* Stamps come before what they stand for is read: what replaces it then is seen the next time. */
static void stamp_ref(struct facts_repository *repository, const char *name)
{
	repository->name[0] = '/';
	text_copy(text_of(name), repository->name + 1, sizeof(repository->name) - 1);
	facts_stamp(repository->common, repository->name, &repository->ref);
	facts_stamp(repository->common, "/packed-refs", &repository->packed);
}

/* line is what HEAD or a ref holds; it becomes what that names. */
static enum facts_commit resolve(struct facts_repository *repository, char *line)
{
	char name[GIT_TEXT_BYTES_MAX];
	for (int i = 0; i < GIT_LINKS_MAX; i++) {
		if (is_commit(line))
			return FACTS_COMMIT_KNOWN;
		if (strncmp(line, "ref: ", 5) != 0 || !is_legal_ref(trim(line + 5)))
			return FACTS_COMMIT_ASK;
		text_copy(text_of(trim(line + 5)), name, sizeof(name));
		stamp_ref(repository, name);
		repository->links++;
		if (read_line(repository->folder, name, line) ||
			read_line(repository->common, name, line))
			continue;
		if (errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
			return FACTS_COMMIT_ASK;
		/* A branch without a commit is in neither place. */
		return find_packed(repository, name, line) ? FACTS_COMMIT_KNOWN : FACTS_COMMIT_NONE;
	}
	return FACTS_COMMIT_ASK;
}

/* What was found stays until .git is another one; where it is looked for in a parent folder, it is
 * looked for each time. */
static bool open_repository(struct facts_repository *repository, const char *dir)
{
	struct facts_stamp top;
	if (facts_stamp(dir, "/.git", &top) && facts_stamp_is(&top, &repository->top))
		return true;
	*repository = (struct facts_repository){.is_hidden = false};
	if (!find_repository(repository, dir))
		return false;
	repository->top = top;
	return true;
}

/* The configuration is read again when it is another one. */
static bool keeps_files(struct facts_repository *repository)
{
	struct facts_stamp config;
	bool is_there = facts_stamp(repository->common, "/config", &config);
	if (!is_there || !facts_stamp_is(&config, &repository->config))
		repository->is_files = has_files(repository);
	repository->config = config;
	return repository->is_files;
}

/* A linked worktree and a ref that names a ref have more places that tell the commit than are kept.
 */
static bool has_few_places(const struct facts_repository *repository)
{
	return repository->commit[0] && repository->links <= 1 &&
	       strcmp(repository->folder, repository->common) == 0;
}

/* Nothing that told the commit was replaced. */
static bool is_kept(const struct facts_repository *repository)
{
	struct facts_stamp seen;
	if (!has_few_places(repository))
		return false;
	facts_stamp(repository->folder, "/HEAD", &seen);
	if (!facts_stamp_is(&seen, &repository->head))
		return false;
	if (repository->links == 0)
		return true;
	bool is_loose = facts_stamp(repository->common, repository->name, &seen);
	if (!facts_stamp_is(&seen, &repository->ref))
		return false;
	if (!is_loose)
		facts_stamp(repository->common, "/packed-refs", &seen);
	return is_loose || facts_stamp_is(&seen, &repository->packed);
}

bool facts_commit_folder(const struct facts_repository *repository, char refs[FACTS_GIT_PATH_BYTES])
{
	if (!has_few_places(repository))
		return false;
	const char *name = repository->links == 1 ? repository->name : "";
	if (snprintf(refs, FACTS_GIT_PATH_BYTES, "%s%s", repository->common, name) >=
		FACTS_GIT_PATH_BYTES)
		return false;
	if (*name)
		*strrchr(refs, '/') = '\0';
	return true;
}

static enum facts_commit read_commit(struct facts_repository *repository, const char *repo_dir)
{
	char line[GIT_TEXT_BYTES_MAX];
	repository->commit[0] = '\0';
	repository->links = 0;
	if (!open_repository(repository, repo_dir))
		return repository->is_hidden ? FACTS_COMMIT_ASK : FACTS_COMMIT_NONE;
	facts_stamp(repository->folder, "/HEAD", &repository->head);
	if (!keeps_files(repository) || !read_line(repository->folder, "HEAD", line))
		return FACTS_COMMIT_ASK;
	enum facts_commit verdict = resolve(repository, line);
	if (verdict == FACTS_COMMIT_KNOWN)
		text_copy(text_of(line), repository->commit, sizeof(repository->commit));
	return verdict;
}

enum facts_commit facts_commit(
	struct facts_repository *repository, const char *repo_dir, bool is_thorough, char *to)
{
	enum facts_commit verdict = FACTS_COMMIT_NONE;
	if (repo_dir[0] != '/')
		repository->commit[0] = '\0';
	else if (!is_thorough && is_kept(repository))
		verdict = FACTS_COMMIT_KNOWN;
	else
		verdict = read_commit(repository, repo_dir);
	memcpy(to, repository->commit, sizeof(repository->commit));
	return verdict;
}
