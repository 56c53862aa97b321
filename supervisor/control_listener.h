/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The listening end of the control socket: <runtime>/control.sock. One that is removed while the
 * agent runs, with its folder or alone, is made again at once; what another process put in its
 * place is left alone, for two must not take it from each other. Its folder is watched, not looked
 * at: a disk that hangs holds nothing up.
 */
#pragma once

#include <event2/event.h>
#include <sys/types.h>

#include "proto/base/limits.h"
#include "proto/base/time.h"
#include "supervisor/platform.h"

struct control_listener {
	struct event_base *base;
	char folder[PATH_BYTES_MAX + 1];
	char path[PATH_BYTES_MAX + 1];
	int fd; /* -1: it was removed, and could not be made again yet */
	dev_t device;
	ino_t inode; /* of the socket's file, which tells it from another one at its path */
	struct event *acceptable;
	struct platform_watch watch; /* of the folder */
	struct event *changed;
	bool is_acceptable, is_changed; /* noted by the callbacks */
	struct mono due;                /* tried again; MONO_NEVER: it is there */
};

/* A socket that a dead agent left is replaced. 0, or -1 with errno and the call in *call; then it
 * needs no control_listener_close. */
int control_listener_open(struct control_listener *listener, struct event_base *base,
	const char *folder, const char **call);
/* Removes the socket, and nothing else that is at its path. */
void control_listener_close(struct control_listener *listener);
/* After is_changed: makes it again where it was removed. */
void control_listener_work(struct control_listener *listener);
/* Tries again what could not be made; when the next try is due. */
struct mono control_listener_due(struct control_listener *listener, struct mono now);
/* Whether those who knock wake the loop. */
void control_listener_hold(struct control_listener *listener);
void control_listener_go_on(struct control_listener *listener);
