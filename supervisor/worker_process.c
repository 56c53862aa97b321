/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The worker as a process: started with its channel on descriptor 3, spoken to, killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/helper.h"
#include "supervisor/platform.h"
#include "supervisor/shell.h"
#include "supervisor/spawn.h"

#define WORKER_LOCK_NAME "worker.lock"

static struct message hello(const struct shell *shell, const char *runs_dir)
{
	const struct config *config = &shell->config;
	return (struct message){.type = MESSAGE_HELLO,
		.hello = {
			.epoch = shell->rules.worker.epoch,
			.seed = shell->rules.random ^ mono_now().ns,
			.version = text_of(NIXFLEET_VERSION),
			.url = text_of(config->url),
			.protocol = config->protocol,
			.shared_token = text_of(config->token),
			.own_token = text_of(shell->rules.token.text),
			.host = text_of(config->host),
			.host_type = text_of(config->host_type),
			.location = text_of(config->location),
			.device_type = text_of(config->device_type),
			.theme_color = text_of(config->theme_color),
			.nixpkgs_version = text_of(config->nixpkgs_version),
			.repo_dir = text_of(config->repo_dir),
			.repo_url = text_of(config->repo_url),
			.branch = text_of(config->branch),
			.runs_dir = text_of(runs_dir),
			.ca_file = text_of(config->ca_file),
			.pinned_pubkey = text_of(config->pinned_pubkey),
			.interval_ms = config->interval_ms,
			.spread_ms = config->spread_ms,
			.log_level = (uint64_t)config->level,
			.paused = shell->rules.pause.is_on,
		}};
}

/* The worker inherits a lock, so that a supervisor after us can tell whether it still lives. A
 * pid that stands in the file is only ever killed when its start time matches. */
static void end_former_worker(int file)
{
	char text[64] = "";
	int pid = 0;
	unsigned long long ticks = 0;
	if (pread(file, text, sizeof(text) - 1, 0) <= 0 ||
		sscanf(text, "%d %llu", &pid, &ticks) != 2 || pid <= 1 || ticks == 0)
		return;
	if (platform_start_ticks(pid) == ticks && kill(pid, SIGKILL) == 0)
		log_warn("a worker of an earlier agent still lived and was killed (pid %d)", pid);
}

/* In the child, before it becomes the worker. The descriptor stays open in it; it is its only trace
 * of us. Where the former worker holds the lock, its end is waited for: a worker that is not ready
 * in time is replaced like any other. */
static int lock_worker(const void *data)
{
	const struct shell *shell = data;
	char text[64];
	own_fd file = openat(
		shell->lock->folder, WORKER_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (file < 0)
		return -1;
	if (flock(file, LOCK_EX | LOCK_NB) < 0) {
		end_former_worker(file);
		if (flock(file, LOCK_EX) < 0)
			return -1;
	}
	int size = snprintf(text, sizeof(text), "%d %llu\n", (int)getpid(),
		(unsigned long long)platform_start_ticks(getpid()));
	/* The lock counts; the text only helps a later supervisor, and a full disk must not matter.
	 */
	if (ftruncate(file, 0) < 0 || fd_write_at(file, text, (size_t)size, 0) < 0)
		log_debug("%s cannot be written: %s", WORKER_LOCK_NAME, strerror(errno));
	return fcntl(file, F_DUPFD, SPAWN_FDS_MAX) < 0 ? -1 : 0;
}

static void start_failed(struct shell *shell, const char *call)
{
	char why[160];
	snprintf(why, sizeof(why), "%s: %s", call, strerror(errno));
	log_error("the worker cannot be started: %s", why);
	struct rules_event *event = shell_post(shell, EVENT_WORKER_EXITED, why);
	if (event)
		event->worker_exited.epoch = shell->rules.worker.epoch;
}

static void say_hello(struct shell *shell, struct child *child)
{
	char runs_dir[PATH_BYTES_MAX + 1];
	snprintf(runs_dir, sizeof(runs_dir), "%.1000s/runs", shell->config.state_dir);
	struct message message = hello(shell, runs_dir);
	check(message_encode(&message, channel_out(&child->channel)) == 0);
	child_flush(child);
}

static void note_dashboard(struct shell *shell)
{
	if (strcmp(shell->dashboard, shell->config.url) == 0)
		return;
	memcpy(shell->dashboard_before, shell->dashboard, sizeof(shell->dashboard_before));
	snprintf(shell->dashboard, sizeof(shell->dashboard), "%s", shell->config.url);
	shell->dashboard_epoch = shell->rules.worker.epoch;
}

const char *worker_dashboard(const struct shell *shell, uint64_t epoch)
{
	return epoch < shell->dashboard_epoch ? shell->dashboard_before : shell->dashboard;
}

void worker_perform_start(struct shell *shell)
{
	char path[PATH_BYTES_MAX + 1];
	int ends[2] = {-1, -1};
	note_dashboard(shell);
	if (!helper_path(shell->config.libexec, "nixfleet-worker", path)) {
		errno = ENOENT;
		start_failed(shell, "nixfleet-worker");
		return;
	}
	if (child_socketpair(ends) < 0) {
		start_failed(shell, "socketpair");
		return;
	}
	struct spawn spawn = {.path = path,
		.argv = (const char *const[]){"nixfleet-worker", NULL},
		.fds = {-1, STDERR_FILENO, STDERR_FILENO, ends[1], shell->flight},
		.dies_with_us = true,
		.prepare = lock_worker,
		.data = shell};
	pid_t pid = spawn_helper(&spawn);
	int failed = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		errno = failed;
		start_failed(shell, "fork");
		return;
	}
	struct child *child = child_add(shell, CHILD_WORKER, pid, ends[0]);
	child->epoch = shell->rules.worker.epoch;
	shell->worker_starts++;
	say_hello(shell, child);
	struct rules_event *event = shell_post(shell, EVENT_WORKER_STARTED, NULL);
	if (event) {
		event->worker_started.epoch = child->epoch;
		event->worker_started.pid = pid;
	}
}

void worker_perform_kill(struct shell *shell)
{
	struct child *child = child_find(shell, CHILD_WORKER);
	if (child && child->pid > 1)
		kill(child->pid, SIGKILL);
}

void worker_perform_send(struct shell *shell, const struct message *message)
{
	struct child *child = child_find(shell, CHILD_WORKER);
	if (!child || child->epoch != shell->rules.worker.epoch)
		return;
	if (message_encode(message, channel_out(&child->channel)) < 0) {
		/* It does not read what it is told: that costs its life. */
		struct rules_event *event = shell_post(
			shell, EVENT_WORKER_VIOLATED, "it stopped reading");
		if (event)
			event->worker_violated.epoch = child->epoch;
		return;
	}
	child_flush(child);
}

static void violated(struct child *child, const char *why)
{
	struct rules_event event = shell_event(EVENT_WORKER_VIOLATED);
	log_error("the worker broke the protocol: %s", why);
	event.worker_violated.epoch = child->epoch;
	event.worker_violated.why = text_of(why);
	event_del(child->readable);
	shell_turn(child->shell, &event);
}

/* Bounded by what one read brings: a flood is taken a piece a turn, between everything else. */
void worker_readable(struct child *child)
{
	struct text payload;
	struct message message;
	bool more = channel_receive(&child->channel);
	while (channel_next(&child->channel, &payload)) {
		enum schema_verdict verdict = message_decode(payload, &message);
		if (verdict != SCHEMA_GOOD || !message_is_from_worker(message.type)) {
			violated(child, verdict == SCHEMA_GOOD ? "a message only we may send"
							       : schema_verdict_name(verdict));
			return;
		}
		struct rules_event event = shell_event(EVENT_WORKER_SAID);
		event.worker_said.epoch = child->epoch;
		event.worker_said.message = &message;
		shell_turn(child->shell, &event);
	}
	if (child->channel.state == CHANNEL_VIOLATED)
		violated(child, "a frame too big or damaged");
	else if (!more)
		event_del(child->readable);
}

void worker_process_exited(struct child *child, int status)
{
	char why[32];
	struct rules_event event = shell_event(EVENT_WORKER_EXITED);
	exit_text(status, why);
	event.worker_exited.epoch = child->epoch;
	event.worker_exited.why = text_of(why);
	if (!child->shell->rules.is_stopping)
		log_warn("the worker ended: %s", why);
	shell_turn(child->shell, &event);
}
