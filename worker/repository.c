/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/repository.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "worker/platform.h"
#include "worker/sandbox.h"

/* Above every number that its descriptors can have: each was the lowest that its supervisor had not
 * in use. */
#define FDS_MAX 1024

/* Who looks has nothing to do when it is told to end. */
#define END_MS 100

/* ---- in the process that looks ---- */

/* Above all the channel and the worker's lock: what is left of who hangs must hold neither. */
static void close_all_but(int kept)
{
	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++) {
		if (fd != kept)
			close(fd);
	}
}

static bool watch(int folders, const struct facts_repository *repository, const char *refs)
{
	return folders >= 0 && platform_folders_add(folders, repository->folder) &&
	       platform_folders_add(folders, refs);
}

/* It is watched before it is looked at: what changes meanwhile is seen by one of both. Where the
 * look finds that it lies elsewhere now, that is watched from the next look on. */
static void look(struct repository_shared *shared, struct facts_checkout_source *source,
	int folders, bool is_thorough)
{
	char before[FACTS_GIT_PATH_BYTES], refs[FACTS_GIT_PATH_BYTES];
	const struct facts_repository *repository = &source->repository;
	atomic_store(&shared->has_moved, false);
	platform_folders_drain(folders);
	bool is_watched = facts_commit_folder(repository, before) &&
			  watch(folders, repository, before);
	facts_checkout_look(source, is_thorough, &shared->seen);
	shared->is_watched = is_watched && facts_commit_folder(repository, refs) &&
			     strcmp(refs, before) == 0;
}

/* A byte asks and a byte answers; what was seen lies in shared memory by then. */
_Noreturn static void look_when_asked(int channel, struct repository_shared *shared)
{
	struct facts_checkout_source source = {.repo_dir = shared->dir};
	uint8_t is_thorough;
	platform_end_with_parent();
	close_all_but(channel);
	sandbox_enter(); /* the worker says where there is none */
	int folders = platform_folders_open();
	for (;;) {
		/* After one change the next look is due, and another says nothing more. */
		bool is_waiting = shared->is_watched && !atomic_load(&shared->has_moved);
		struct pollfd wait[2] = {
			{channel, POLLIN, 0}, {is_waiting ? folders : -1, POLLIN, 0}};
		if (poll(wait, 2, -1) < 0)
			continue;
		if (wait[1].revents)
			atomic_store(&shared->has_moved, true);
		if (!wait[0].revents)
			continue;
		if (fd_read_all(channel, &is_thorough, 1) != 1)
			break;
		source.wants_lock = shared->wants_lock;
		look(shared, &source, folders, is_thorough);
		if (fd_write_all(channel, &is_thorough, 1) < 0)
			break;
	}
	_exit(0);
}

/* ---- in the worker ---- */

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct repository *repository = data;
	(void)fd;
	(void)what;
	repository->is_ready = true;
}

int repository_fork(struct repository *repository)
{
	int ends[2];
	*repository = (struct repository){.channel = -1, .due = MONO_NEVER};
	void *shared = mmap(NULL, sizeof(*repository->shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	repository->shared = shared;
	repository->looker = fork();
	if (repository->looker == 0)
		look_when_asked(ends[1], repository->shared);
	close(ends[1]);
	repository->channel = ends[0];
	return repository->looker < 0 || fd_cloexec(ends[0], true) < 0 ? -1
								       : fd_nonblocking(ends[0]);
}

int repository_start(
	struct repository *repository, struct event_base *base, const char *dir, bool wants_lock)
{
	text_copy(text_of(dir), repository->shared->dir, sizeof(repository->shared->dir));
	repository->shared->wants_lock = wants_lock;
	repository->readable = event_new(
		base, repository->channel, EV_READ | EV_PERSIST, on_readable, repository);
	if (repository->readable && event_add(repository->readable, NULL) == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

void repository_changed(struct repository *repository)
{
	repository->thorough_due = (struct mono){0};
}

static void begin(struct repository *repository, struct mono now)
{
	uint8_t is_thorough = mono_reached(now, repository->thorough_due);
	if (is_thorough)
		repository->thorough_due = mono_after(now, FACTS_THOROUGH_MS);
	repository->state = REPOSITORY_LOOKING;
	repository->is_stale = false;
	repository->due = mono_after(now, REPOSITORY_WAIT_MS);
	/* Of one that is gone the next read tells. */
	(void)!write(repository->channel, &is_thorough, 1);
}

/* Nothing changed since it was seen. */
static bool is_fresh(const struct repository *repository, struct mono now)
{
	const struct repository_shared *shared = repository->shared;
	return shared->is_watched && !atomic_load(&shared->has_moved) &&
	       !mono_reached(now, repository->thorough_due);
}

void repository_ask(struct repository *repository, struct mono now)
{
	switch (repository->state) {
	case REPOSITORY_IDLE:
		if (!is_fresh(repository, now))
			begin(repository, now);
		break;
	case REPOSITORY_LOOKING: repository->is_stale = true; break;
	case REPOSITORY_HANGING:
	case REPOSITORY_LOST: break;
	}
}

bool repository_is_settled(const struct repository *repository)
{
	return repository->state != REPOSITORY_LOOKING;
}

/* True: it answered. */
static bool hear(struct repository *repository)
{
	uint8_t byte;
	if (!repository->is_ready)
		return false;
	repository->is_ready = false;
	ssize_t got = read(repository->channel, &byte, 1);
	if (got == 1)
		return true;
	if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		repository->state = REPOSITORY_LOST;
		event_del(repository->readable); /* its end would wake the loop again and again */
	}
	return false;
}

bool repository_work(struct repository *repository, struct mono now)
{
	bool was_hanging = repository->state == REPOSITORY_HANGING;
	if (hear(repository)) {
		repository->known = repository->shared->seen;
		repository->state = REPOSITORY_IDLE;
		repository->due = MONO_NEVER;
		if (was_hanging)
			log_info("the repository's disk answers again");
		if (repository->is_stale)
			begin(repository, now);
		return was_hanging;
	}
	if (!mono_reached(now, repository->due))
		return false;
	log_warn("the repository's disk does not answer: what was known of it is told");
	repository->state = REPOSITORY_HANGING;
	repository->due = MONO_NEVER;
	return true;
}

struct mono repository_due(const struct repository *repository, bool is_wanted)
{
	return is_wanted && repository_is_settled(repository) ? (struct mono){0} : repository->due;
}

void repository_end(struct repository *repository)
{
	struct pollfd ended = {repository->channel, POLLIN, 0};
	shutdown(repository->channel, SHUT_WR);
	/* Who was stopped ends with this process, or when it goes on. */
	if (repository->state == REPOSITORY_IDLE && poll(&ended, 1, END_MS) == 1)
		waitpid(repository->looker, NULL, 0);
	fd_drop(&repository->channel);
}
