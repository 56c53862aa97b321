/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/control_listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/config.h"
#include "supervisor/folder.h"

#define CONTROL_BACKLOG 32
/* After it was removed and could not be made again. */
#define CONTROL_LISTEN_AGAIN_MS 10000

static void on_accept(evutil_socket_t fd, short what, void *data)
{
	struct control_listener *listener = data;
	(void)fd;
	(void)what;
	listener->is_acceptable = true;
}

static void on_changed(evutil_socket_t fd, short what, void *data)
{
	struct control_listener *listener = data;
	(void)fd;
	(void)what;
	listener->is_changed = true;
}

/* We hold the instance lock, so a socket that is there belongs to nobody any more. Anything else is
 * somebody's. */
static int remove_socket(const char *path, const char **call)
{
	struct stat info;
	if (lstat(path, &info) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(info.st_mode)) {
		*call = "it is no socket";
		errno = EEXIST;
		return -1;
	}
	return unlink(path);
}

/* Between bind and chmod the mode is narrower, and until it listens nobody can connect. The
 * listening descriptor, or -1 with errno and the call. */
static int bind_at(struct control_listener *listener, const char **call)
{
	const char *path = listener->path;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat info;
	*call = "path";
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	*call = "socket";
	own_fd fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || fd_cloexec(fd, true) < 0 || fd_nonblocking(fd) < 0)
		return -1;
	*call = "unlink";
	if (remove_socket(path, call) < 0)
		return -1;
	*call = "bind";
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	*call = "chmod";
	if (chmod(path, 0666) < 0)
		return -1;
	*call = "lstat";
	if (lstat(path, &info) < 0)
		return -1;
	listener->device = info.st_dev;
	listener->inode = info.st_ino;
	*call = "listen";
	if (listen(fd, CONTROL_BACKLOG) < 0)
		return -1;
	return steal_fd(&fd);
}

static struct event *add_event(
	struct control_listener *listener, int fd, event_callback_fn callback)
{
	struct event *event = event_new(
		listener->base, fd, EV_READ | EV_PERSIST, callback, listener);
	check(event != NULL);
	event_add(event, NULL);
	return event;
}

static void stop_watching(struct control_listener *listener)
{
	if (listener->changed)
		event_free(listener->changed);
	listener->changed = NULL;
	platform_watch_close(&listener->watch);
}

/* Whatever folder is there now. Where the kernel gives no watch, only a removed socket stays so. */
static void watch(struct control_listener *listener)
{
	stop_watching(listener);
	if (platform_watch_open(&listener->watch, listener->folder) == 0)
		listener->changed = add_event(listener, listener->watch.fd, on_changed);
	else if (errno != ENOENT) /* the folder is made next */
		log_warn("%s is not made again when it is removed: %s", listener->path,
			strerror(errno));
}

/* The watch comes first, so that no removal is missed. */
static int begin(struct control_listener *listener, const char **call)
{
	watch(listener);
	listener->fd = bind_at(listener, call);
	if (listener->fd < 0) {
		int kept = errno;
		stop_watching(listener);
		errno = kept;
		return -1;
	}
	listener->acceptable = add_event(listener, listener->fd, on_accept);
	return 0;
}

static void end(struct control_listener *listener)
{
	if (listener->acceptable)
		event_free(listener->acceptable);
	listener->acceptable = NULL;
	stop_watching(listener);
	fd_drop(&listener->fd);
}

static void begin_anew(struct control_listener *listener)
{
	char error[CONFIG_ERROR_BYTES];
	const char *call;
	own_fd folder = folder_open(listener->folder, 0755, error);
	if (folder >= 0 && begin(listener, &call) == 0) {
		log_warn("%s was removed and is there again", listener->path);
		listener->due = MONO_NEVER;
		return;
	}
	if (folder >= 0)
		snprintf(error, sizeof(error), "%s: %s", call, strerror(errno));
	if (listener->due.ns == MONO_NEVER.ns)
		log_warn("%s was removed and cannot be made again yet: %s", listener->path, error);
	listener->due = mono_after(mono_now(), CONTROL_LISTEN_AGAIN_MS);
}

int control_listener_open(struct control_listener *listener, struct event_base *base,
	const char *folder, const char **call)
{
	*listener = (struct control_listener){
		.base = base, .fd = -1, .watch = {-1, -1}, .due = MONO_NEVER};
	snprintf(listener->folder, sizeof(listener->folder), "%s", folder);
	snprintf(listener->path, sizeof(listener->path), "%.1000s/control.sock", folder);
	return begin(listener, call);
}

void control_listener_close(struct control_listener *listener)
{
	struct stat info;
	if (listener->fd >= 0 && lstat(listener->path, &info) == 0 &&
		info.st_dev == listener->device && info.st_ino == listener->inode)
		unlink(listener->path);
	end(listener);
}

void control_listener_work(struct control_listener *listener)
{
	struct stat info;
	listener->is_changed = false;
	watch(listener); /* anew: another folder may have taken the place of the one before */
	if (lstat(listener->path, &info) == 0 || errno != ENOENT)
		return;
	end(listener);
	begin_anew(listener);
}

struct mono control_listener_due(struct control_listener *listener, struct mono now)
{
	if (mono_reached(now, listener->due))
		begin_anew(listener);
	return listener->due;
}

void control_listener_hold(struct control_listener *listener)
{
	event_del(listener->acceptable);
}

void control_listener_go_on(struct control_listener *listener)
{
	if (listener->acceptable)
		event_add(listener->acceptable, NULL);
}
