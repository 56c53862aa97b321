/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"
#include "supervisor/platform.h"

/* An agent that accepts nobody has a full queue before it. */
#define CONNECT_MS      2000
#define CONNECT_LOOK_MS 10

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	own_fd fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || fd_cloexec(fd, true) < 0 || fd_nonblocking(fd) < 0)
		return -1;
	struct mono until = mono_after(mono_now(), CONNECT_MS);
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN || mono_reached(mono_now(), until))
			return -1;
		poll(NULL, 0, CONNECT_LOOK_MS);
	}
	return steal_fd(&fd);
}

/* Where sockets are, by variable and the folder below it; without both, root's own folder. ends:
 * what ends the first of several. The older unit makes no folder in /run: there the agent has it in
 * its state folder. */
static const struct {
	const char *variable;
	const char *folder;
	const char *ends;
} places[] = {
	{"NIXFLEET_RUNTIME_DIR", "", ""},
	{"RUNTIME_DIRECTORY", "", ":"},
	{"XDG_RUNTIME_DIR", "/nixfleet-agent", ""},
	{NULL, "", ""},
	{NULL, "/var/lib/nixfleet-agent/run", ""},
	{"NIXFLEET_STATE_DIR", "/run", ""},
	{"XDG_STATE_HOME", "/nixfleet-agent/run", ""},
	{"HOME", "/.local/state/nixfleet-agent/run", ""},
};

int client_open(struct client *client, const char *path, char *tried)
{
	*client = (struct client){
		.channel = {.fd = -1}, .files = {-1, -1}, .wait_ms = CLIENT_WAIT_MS};
	int fd = -1;
	if (path) {
		snprintf(tried, PATH_BYTES_MAX + 1, "%s", path);
		fd = connect_to(tried);
	}
	for (size_t i = 0; !path && fd < 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		const char *value = places[i].variable    ? getenv(places[i].variable)
				    : places[i].folder[0] ? ""
							  : platform_run_folder();
		if (!value || (places[i].variable && !*value))
			continue;
		size_t size = strcspn(value, places[i].ends);
		snprintf(tried, PATH_BYTES_MAX + 1, "%.*s%s/control.sock",
			(int)(size < 400 ? size : 400), value, places[i].folder);
		fd = connect_to(tried);
		/* A variable that names the place is meant: no other agent is asked instead. */
		if (i < 2)
			break;
	}
	if (fd < 0)
		return -1;
	channel_init(&client->channel, fd);
	return 0;
}

void client_close(struct client *client)
{
	channel_finish(&client->channel);
	fd_drop(&client->files[0]);
	fd_drop(&client->files[1]);
}

static int wait_for(const struct client *client, short events)
{
	struct pollfd wait = {.fd = client->channel.fd, .events = events};
	int ready;
	do
		ready = poll(&wait, 1, client->wait_ms);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 ? 0 : -1;
}

int client_ask(struct client *client, const struct control *control)
{
	bool is_quick = control->type == CONTROL_ASK_STATUS || control->type == CONTROL_ASK_WHY;
	if (is_quick && client->wait_ms > CLIENT_QUICK_MS)
		client->wait_ms = CLIENT_QUICK_MS;
	if (control_encode(control, channel_out(&client->channel)) < 0)
		return -1;
	do {
		if (wait_for(client, POLLOUT) < 0)
			return -1;
		if (!channel_flush(&client->channel)) {
			errno = ECONNRESET;
			return -1;
		}
	} while (channel_is_sending(&client->channel));
	return 0;
}

/* Descriptors come beside the first byte of their frame: looked at before the bytes are read. */
static void take_files(struct client *client)
{
	char room[CMSG_SPACE(2 * sizeof(int))] = {0};
	char byte;
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room)};
	if (client->files[0] >= 0 || recvmsg(client->channel.fd, &message, MSG_PEEK) <= 0)
		return;
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return;
	size_t size = head->cmsg_len - CMSG_LEN(0);
	if (size != sizeof(int) && size != 2 * sizeof(int))
		return;
	memcpy(client->files, CMSG_DATA(head), size);
	for (size_t i = 0; i < size / sizeof(int); i++)
		fd_cloexec(client->files[i], true);
}

int client_next(struct client *client, struct control *control)
{
	struct text payload;
	while (!channel_next(&client->channel, &payload)) {
		if (client->channel.state != CHANNEL_OPEN) {
			errno = client->channel.state == CHANNEL_VIOLATED ? EPROTO : ECONNRESET;
			return -1;
		}
		if (wait_for(client, POLLIN) < 0)
			return -1;
		take_files(client);
		channel_receive(&client->channel);
	}
	if (control_decode(payload, control) != SCHEMA_GOOD) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}
