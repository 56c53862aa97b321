/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"

#define WAIT_MS      5000
#define FLIGHT_BYTES (1024 * 1024)

uint64_t rig_ms(void)
{
	return mono_now().ns / NS_PER_MS;
}

static void listen_somewhere(struct rig *rig)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(rig->listener, (struct sockaddr *)&address, size) == 0);
	cr_assert(listen(rig->listener, 16) == 0);
	cr_assert(getsockname(rig->listener, (struct sockaddr *)&address, &size) == 0);
	rig->port = ntohs(address.sin_port);
	snprintf(rig->url, sizeof(rig->url), "http://127.0.0.1:%d", rig->port);
}

void rig_open(struct rig *rig)
{
	char path[128];
	*rig = (struct rig){.listener = -1, .flight = -1, .worker = -1, .client = -1};
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/nixfleet-rig-XXXXXX");
	cr_assert(mkdtemp(rig->folder) != NULL);
	snprintf(path, sizeof(path), "%s/flight", rig->folder);
	rig->flight = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(ftruncate(rig->flight, FLIGHT_BYTES) == 0);
	listen_somewhere(rig);
	snprintf(rig->token, sizeof(rig->token), "shared-secret");
	rig->hello = (struct message_hello){.epoch = 7,
		.seed = 42,
		.version = text_of(NIXFLEET_VERSION),
		.url = text_of(rig->url),
		.protocol = PROTOCOL_HTTP,
		.shared_token = text_of(rig->token),
		.own_token = TEXT_NONE,
		.host = text_of("Toy"),
		.host_type = text_of("nixos"),
		.location = text_of("home"),
		.device_type = text_of("server"),
		.theme_color = text_of("#769ff0"),
		.nixpkgs_version = text_of("24.11"),
		.repo_dir = text_of(rig->folder),
		.repo_url = TEXT_NONE,
		.branch = text_of("main"),
		.runs_dir = text_of(rig->folder),
		.ca_file = TEXT_NONE,
		.pinned_pubkey = TEXT_NONE,
		.interval_ms = 30000,
		.spread_ms = 200,
		.log_level = 6};
}

/* In the child: the worker finds its channel on 3 and the recorder on 4. */
_Noreturn static void become_worker(int channel, int flight)
{
	char path[512];
	const char *build = getenv("NIXFLEET_BUILD");
	int high_channel = fcntl(channel, F_DUPFD, 10);
	int high_flight = fcntl(flight, F_DUPFD, 10);
	int nothing = open("/dev/null", O_RDWR);
	dup2(nothing, STDIN_FILENO);
	dup2(high_channel, 3);
	dup2(high_flight, 4);
	close(high_channel);
	close(high_flight);
	snprintf(path, sizeof(path), "%s/worker/nixfleet-worker", build ? build : ".");
	execl(path, "nixfleet-worker", (char *)NULL);
	_exit(127);
}

int rig_connect(struct rig *rig)
{
	int ends[2];
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	cr_assert(fd_nonblocking(ends[0]) == 0);
	channel_init(&rig->channel, ends[0]);
	return ends[1];
}

void rig_start(struct rig *rig)
{
	rig_start_on(rig, rig_connect(rig));
}

void rig_start_on(struct rig *rig, int end)
{
	rig->worker = fork();
	if (rig->worker == 0)
		become_worker(end, rig->flight);
	close(end);
	rig_say(rig, &(struct message){.type = MESSAGE_HELLO, .hello = rig->hello});
}

void rig_start_open(struct rig *rig)
{
	rig_start(rig);
	rig_expect(rig, MESSAGE_READY);
	rig_say(rig, &(struct message){.type = MESSAGE_OPEN});
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
	(void)stat;
	(void)kind;
	(void)where;
	return remove(path);
}

void rig_close(struct rig *rig)
{
	if (rig->worker > 0) {
		kill(rig->worker, SIGKILL);
		waitpid(rig->worker, NULL, 0);
	}
	if (rig->channel.fd > 0)
		channel_finish(&rig->channel);
	fd_drop(&rig->client);
	fd_drop(&rig->listener);
	fd_drop(&rig->flight);
	nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void rig_say(struct rig *rig, const struct message *message)
{
	cr_assert(message_encode(message, channel_out(&rig->channel)) == 0);
	channel_flush(&rig->channel);
}

void rig_say_bytes(struct rig *rig, const void *data, uint32_t size)
{
	cr_assert(bytes_append(channel_out(&rig->channel), data, size) == 0);
	channel_flush(&rig->channel);
}

static bool wait_readable(int fd, uint64_t until)
{
	uint64_t now = rig_ms();
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return now < until && poll(&poll_fd, 1, (int)(until - now)) == 1;
}

static bool hear(struct rig *rig, struct message *message, uint64_t ms, bool wants_pong)
{
	uint64_t until = rig_ms() + ms;
	struct text payload;
	for (;;) {
		if (channel_next(&rig->channel, &payload)) {
			cr_assert(message_decode(payload, message) == SCHEMA_GOOD);
			cr_assert(message_is_from_worker(message->type));
			/* One comes unasked whenever the link changes. */
			if (message->type == MESSAGE_PONG && !wants_pong)
				continue;
			return true;
		}
		if (rig->is_gone || !wait_readable(rig->channel.fd, until))
			return false;
		rig->is_gone = !channel_receive(&rig->channel);
	}
}

bool rig_hear(struct rig *rig, struct message *message, uint64_t ms)
{
	return hear(rig, message, ms, false);
}

struct message rig_expect(struct rig *rig, enum message_type type)
{
	struct message message = {0};
	cr_assert(hear(rig, &message, WAIT_MS, type == MESSAGE_PONG), "no %s came",
		message_name(type));
	cr_assert(message.type == type, "%s came, not %s", message_name(message.type),
		message_name(type));
	return message;
}

struct message rig_ping(struct rig *rig)
{
	struct message message = {0};
	uint64_t sequence = rig_ms();
	rig_say(rig, &(struct message){.type = MESSAGE_PING, .ping = {sequence}});
	do {
		cr_assert(hear(rig, &message, 1000, true), "no pong came");
		cr_assert(message.type == MESSAGE_PONG, "%s came, not pong",
			message_name(message.type));
	} while (message.pong.sequence != sequence);
	return message;
}

static bool is_whole(const char *request)
{
	const char *body = strstr(request, "\r\n\r\n");
	const char *length = strcasestr(request, "content-length:");
	if (!body)
		return false;
	return !length || length > body ||
	       strlen(body + 4) >= strtoul(length + strlen("content-length:"), NULL, 10);
}

/* The connection that speaks next: the one at hand, or a new one. False after until. */
static bool take_client(struct rig *rig, uint64_t until)
{
	uint64_t now = rig_ms();
	struct pollfd fds[2] = {
		{.fd = rig->listener, .events = POLLIN}, {.fd = rig->client, .events = POLLIN}};
	if (now >= until || poll(fds, 2, (int)(until - now)) <= 0)
		return false;
	if (fds[0].revents) {
		fd_drop(&rig->client);
		rig->client = accept(rig->listener, NULL, NULL);
		cr_assert(rig->client >= 0);
	}
	return true;
}

bool rig_request(struct rig *rig, uint64_t ms)
{
	uint64_t until = rig_ms() + ms;
	size_t size = 0;
	rig->request[0] = '\0';
	while (!is_whole(rig->request)) {
		if (size == 0 && !take_client(rig, until))
			return false;
		if (!wait_readable(rig->client, until))
			return false;
		ssize_t got = read(rig->client, rig->request + size, RIG_REQUEST_BYTES_MAX - size);
		if (got <= 0) {
			fd_drop(&rig->client);
			size = 0;
			got = 0;
		}
		size += (size_t)got;
		rig->request[size] = '\0';
	}
	return true;
}

void rig_expect_request(struct rig *rig, const char *path)
{
	char line[256];
	snprintf(line, sizeof(line), "POST /api/hosts/toy/%s HTTP/1.1\r\n", path);
	cr_assert(rig_request(rig, WAIT_MS), "no %s came", path);
	cr_assert(strncmp(rig->request, line, strlen(line)) == 0, "not %s: %.60s", path,
		rig->request);
}

void rig_answer_bytes(struct rig *rig, const char *data, uint32_t size)
{
	/* The worker may have had enough of it. */
	while (size > 0) {
		ssize_t sent = send(rig->client, data, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		data += sent;
		size -= (uint32_t)sent;
	}
}

void rig_hang_up(struct rig *rig)
{
	fd_drop(&rig->client);
}

void rig_answer(struct rig *rig, int code, const char *headers, const char *body)
{
	struct bytes answer;
	bytes_init(&answer, 16 * 1024 * 1024);
	bytes_printf(&answer, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n%s", code,
		strlen(body), headers, body);
	rig_answer_bytes(rig, (const char *)answer.data, answer.size);
	bytes_finish(&answer);
}

void rig_answer_good(struct rig *rig, const char *more)
{
	char body[512];
	snprintf(body, sizeof(body), "{\"status\":\"registered\"%s}", more);
	rig_answer(rig, 200, "", body);
}

uint32_t rig_serve(struct rig *rig, uint64_t ms)
{
	uint64_t until = rig_ms() + ms;
	uint32_t count = 0;
	while (rig_ms() < until && rig_request(rig, until - rig_ms())) {
		rig_answer_good(rig, "");
		count++;
	}
	return count;
}

int rig_wait(struct rig *rig, uint64_t ms)
{
	uint64_t until = rig_ms() + ms;
	int status = 0;
	const struct timespec pause = {0, 2000000};
	while (waitpid(rig->worker, &status, WNOHANG) == 0) {
		cr_assert(rig_ms() < until, "the worker did not end");
		nanosleep(&pause, NULL);
	}
	rig->worker = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
