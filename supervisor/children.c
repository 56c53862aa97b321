/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/shell.h"

#define REAPED_A_TURN_MAX 64
/* Each reads 4 KiB or more: beyond what a socket holds. */
#define READS_AT_END_MAX 128

static void no_readable(struct child *child)
{
	(void)child;
}

static void no_exited(struct child *child, int status)
{
	(void)child;
	(void)status;
}

static const struct {
	void (*readable)(struct child *child);
	void (*exited)(struct child *child, int status);
	uint32_t most;
} kinds[] = {
	[CHILD_FREE] = {no_readable, no_exited, 0},
	[CHILD_PROBE] = {probe_readable, probe_exited, 1},
	[CHILD_WORKER] = {worker_readable, worker_process_exited, 1},
	[CHILD_RUNNER] = {runner_readable, runner_process_exited, 2},
	[CHILD_LOOK] = {runner_readable, look_process_exited, SHELL_LOOKS_MAX + 1},
	[CHILD_STORE] = {store_readable, store_exited, STORE_CHILDREN_MAX + 4},
	[CHILD_ADOPTED] = {adopted_readable, adopted_exited, SHELL_ADOPTED_MAX},
	[CHILD_ANSWER] = {no_readable, no_exited, SHELL_ANSWERS_MAX},
	[CHILD_RELOAD] = {no_readable, reload_exited, 1},
};

int child_socketpair(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	if (fd_cloexec(ends[0], true) < 0 || fd_cloexec(ends[1], true) < 0 ||
		fd_nonblocking(ends[0]) < 0 || fd_nonblocking(ends[1]) < 0) {
		int kept = errno;
		close(ends[0]);
		close(ends[1]);
		errno = kept;
		return -1;
	}
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;
	(void)fd;
	(void)what;
	child->is_readable = true;
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct child *child = data;
	(void)fd;
	(void)what;
	child->is_writable = true;
}

void children_work(struct shell *shell)
{
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		struct child *child = &shell->children[i];
		if (child->is_writable) {
			child->is_writable = false;
			child_flush(child);
		}
		if (child->is_readable) {
			child->is_readable = false;
			kinds[child->kind].readable(child);
		}
	}
}

struct child *child_add(struct shell *shell, enum child_kind kind, pid_t pid, int fd)
{
	struct child *child = NULL;
	if (child_count(shell, kind) < kinds[kind].most) {
		for (uint32_t i = 0; i < SHELL_CHILDREN_MAX && !child; i++) {
			if (shell->children[i].kind == CHILD_FREE)
				child = &shell->children[i];
		}
	}
	check(child != NULL); /* who forks has asked child_count() before */
	*child = (struct child){.kind = kind,
		.pid = pid,
		.shell = shell,
		.started = mono_now(),
		.run = RULES_NO_RUN,
		.channel = {.fd = -1}};
	if (fd >= 0) {
		channel_init(&child->channel, fd);
		child->readable = event_new(
			shell->base, fd, EV_READ | EV_PERSIST, on_readable, child);
		child->writable = event_new(shell->base, fd, EV_WRITE, on_writable, child);
		check(child->readable && child->writable);
		event_add(child->readable, NULL);
	}
	return child;
}

void child_remove(struct child *child)
{
	if (child->readable)
		event_free(child->readable);
	if (child->writable)
		event_free(child->writable);
	if (child->channel.fd >= 0)
		channel_finish(&child->channel);
	*child = (struct child){.kind = CHILD_FREE, .channel = {.fd = -1}};
}

struct child *child_find(struct shell *shell, enum child_kind kind)
{
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind == kind)
			return &shell->children[i];
	}
	return NULL;
}

uint32_t child_count(const struct shell *shell, enum child_kind kind)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++)
		count += shell->children[i].kind == kind;
	return count;
}

void child_flush(struct child *child)
{
	if (child->channel.fd < 0)
		return;
	channel_flush(&child->channel); /* who is gone is reaped */
	if (channel_is_sending(&child->channel))
		event_add(child->writable, NULL);
}

static struct child *find_pid(struct shell *shell, pid_t pid)
{
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind != CHILD_FREE && shell->children[i].pid == pid)
			return &shell->children[i];
	}
	return NULL;
}

/* What it said before it ended counts: a command that was handed over, a result. */
static void hear_out(struct child *child)
{
	for (int more = 0; more < READS_AT_END_MAX && child->channel.fd >= 0 &&
			   child->channel.state == CHANNEL_OPEN;
		more++)
		kinds[child->kind].readable(child);
}

/* Its number is nobody else's until it is reaped, so it may be signaled up to then; and its place
 * is free for who comes after it, whom its end may start. */
static void reap(struct shell *shell, pid_t pid)
{
	int status = 0;
	struct child *child = find_pid(shell, pid);
	struct child ended = {.kind = CHILD_FREE, .channel = {.fd = -1}};
	if (child)
		hear_out(child);
	waitpid(pid, &status, 0); /* does not wait: it has ended */
	if (child) {
		ended = *child;
		*child = (struct child){.kind = CHILD_FREE, .channel = {.fd = -1}};
	}
	kinds[ended.kind].exited(&ended, status);
	child_remove(&ended);
}

/* Orphans of dead runners come to us too (subreaper) and are only reaped. */
bool children_reap(struct shell *shell)
{
	for (int i = 0; i < REAPED_A_TURN_MAX; i++) {
		siginfo_t ended = {.si_pid = 0};
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == EINTR)
			continue;
		if (ended.si_pid <= 0)
			return true;
		reap(shell, ended.si_pid);
	}
	return false;
}

struct mono children_due(struct shell *shell, struct mono now)
{
	struct mono next = MONO_NEVER;
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		struct child *child = &shell->children[i];
		if (child->kind == CHILD_FREE || child->kill_after_ms == 0)
			continue;
		struct mono due = mono_after(child->started, child->kill_after_ms);
		if (mono_reached(now, due)) {
			log_warn("helper %d took longer than %llu ms and is killed",
				(int)child->pid, (unsigned long long)child->kill_after_ms);
			kill(child->pid, SIGKILL);
			child->kill_after_ms = 0;
			continue;
		}
		next = mono_earlier(next, due);
	}
	return next;
}

void exit_text(int status, char *text)
{
	if (WIFSIGNALED(status))
		snprintf(text, 32, "signal %d", WTERMSIG(status));
	else
		snprintf(text, 32, "exit code %d", WEXITSTATUS(status));
}
