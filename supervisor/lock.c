/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/time.h"
#include "supervisor/config.h"
#include "supervisor/folder.h"
#include "supervisor/platform.h"

/* The file may be removed by a clean exit between our open and our flock: then it is opened again.
 */
#define LOCK_TRIES 3

static void name_folder(const char *home, char path[PATH_BYTES_MAX + 1])
{
	if (geteuid() == 0)
		snprintf(path, PATH_BYTES_MAX + 1, "%s", platform_run_folder());
	else
		snprintf(path, PATH_BYTES_MAX + 1, "%.900s/.local/state/nixfleet-agent", home);
}

/* Host names differ in nothing but case for no one: the file's name is lower-case. */
static void name_file(const char *folder, const char *host, char path[PATH_BYTES_MAX + 1])
{
	int at = snprintf(path, PATH_BYTES_MAX + 1, "%.900s/agent-", folder);
	for (; *host && at < PATH_BYTES_MAX - 8; host++)
		path[at++] = (char)tolower((unsigned char)*host);
	snprintf(path + at, PATH_BYTES_MAX + 1 - (size_t)at, ".lock");
}

static int lock_file_folder(const char *home, char path[PATH_BYTES_MAX + 1], char *error)
{
	name_folder(home, path);
	return folder_open(path, geteuid() == 0 ? 0755 : 0700, error);
}

/* What the holder wrote into the file: for the message only, so anything odd is left out. */
static void describe_holder(int file, char *error)
{
	char text[128] = "";
	int pid = 0;
	char since[WALL_TEXT_BYTES] = "";
	ssize_t size = file < 0 ? -1 : pread(file, text, sizeof(text) - 1, 0);
	if (size > 0 && sscanf(text, "%d %31[0-9TZ:-]", &pid, since) == 2)
		snprintf(error, CONFIG_ERROR_BYTES,
			"Another agent instance is already running (pid %d, since %s)", pid, since);
	else
		snprintf(error, CONFIG_ERROR_BYTES,
			"Another agent instance is already running (it holds the state folder)");
}

static int open_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0644);
}

static enum lock_verdict take_file(struct lock *lock, char *error)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		struct stat ours, there;
		own_fd file = open_file(lock->path);
		if (file < 0 || fstat(file, &ours) < 0) {
			snprintf(error, CONFIG_ERROR_BYTES, "open %.200s: %s", lock->path,
				strerror(errno));
			return LOCK_FAILED;
		}
		if (flock(file, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK) {
				snprintf(error, CONFIG_ERROR_BYTES, "flock %.200s: %s", lock->path,
					strerror(errno));
				return LOCK_FAILED;
			}
			describe_holder(file, error);
			return LOCK_HELD;
		}
		if (stat(lock->path, &there) == 0 && there.st_ino == ours.st_ino &&
			there.st_dev == ours.st_dev) {
			lock->file = steal_fd(&file);
			return LOCK_TAKEN;
		}
	}
	snprintf(error, CONFIG_ERROR_BYTES, "%.200s is replaced again and again: who does that?",
		lock->path);
	return LOCK_FAILED;
}

/* For people only: the lock counts, and a disk that is full must not keep the agent from starting.
 */
static void write_holder(const struct lock *lock)
{
	char when[WALL_TEXT_BYTES], text[96];
	wall_text(wall_now(), when);
	int size = snprintf(text, sizeof(text), "%d %s\n", (int)getpid(), when);
	if (ftruncate(lock->file, 0) < 0 || fd_write_at(lock->file, text, (size_t)size, 0) < 0)
		log_warn("%s does not say who holds it: %s", lock->path, strerror(errno));
}

static enum lock_verdict take_folder(struct lock *lock, char *error)
{
	if (flock(lock->folder, LOCK_EX | LOCK_NB) == 0)
		return LOCK_TAKEN;
	if (errno != EWOULDBLOCK) {
		snprintf(error, CONFIG_ERROR_BYTES, "flock of the state folder: %s",
			strerror(errno));
		return LOCK_FAILED;
	}
	own_fd file = open(lock->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	describe_holder(file, error);
	return LOCK_HELD;
}

enum lock_verdict lock_take(
	struct lock *lock, int folder, const char *host, const char *home, char *error)
{
	char path[PATH_BYTES_MAX + 1];
	*lock = (struct lock){.folder = folder, .file = -1};
	own_fd above = lock_file_folder(home, path, error);
	enum lock_verdict verdict = above < 0 ? LOCK_FAILED : LOCK_TAKEN;
	name_file(path, host, lock->path);
	if (verdict == LOCK_TAKEN)
		verdict = take_folder(lock, error);
	if (verdict == LOCK_TAKEN)
		verdict = take_file(lock, error);
	if (verdict == LOCK_TAKEN)
		write_holder(lock);
	else
		lock_forget(lock);
	return verdict;
}

void lock_find_holder(const char *host, const char *home, struct lock_holder *holder)
{
	char folder[PATH_BYTES_MAX + 1], text[128];
	int pid = 0;
	*holder = (struct lock_holder){.pid = 0};
	name_folder(home, folder);
	name_file(folder, host, holder->path);
	ssize_t size = fd_read_file(AT_FDCWD, holder->path, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	if (sscanf(text, "%d %31[0-9TZ:-]", &pid, holder->since) != 2 || pid <= 1)
		return;
	holder->pid = pid;
	holder->is_alive = kill(pid, 0) == 0 || errno == EPERM;
}

void lock_release(struct lock *lock)
{
	struct stat ours, there;
	if (lock->file >= 0 && fstat(lock->file, &ours) == 0 && stat(lock->path, &there) == 0 &&
		ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		unlink(lock->path);
	/* A child that was forked a moment ago may not have closed its copies yet: the lock is one
	 * for all of them, and is dropped here for all. */
	if (lock->file >= 0)
		flock(lock->file, LOCK_UN);
	if (lock->folder >= 0)
		flock(lock->folder, LOCK_UN);
	lock_forget(lock);
}

void lock_forget(struct lock *lock)
{
	fd_drop(&lock->file);
	fd_drop(&lock->folder);
}
