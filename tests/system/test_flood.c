/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A dashboard that says more over its WebSocket than a supervisor that does not run takes, and one
 * that stops in the middle of a handshake. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/system/rig.h"

#define MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KILL                                                                                     \
	"{\"type\":\"kill_command\",\"payload\":{\"signal\":\"SIGTERM\",\"pid\":0,\"why\":\"so " \
	"that fewer fill the socket\"}}"
#define KILLS_MAX        500000
#define KILLS_THAT_STALL 20700
#define STARTS           8000
#define TAKEN_MS         500 /* what it did not take until then, it takes no more */
#define LOOKED_AT_MS     2000
#define PINGS_BYTES      1000000
#define PINGS_TIMES      8

static struct rig rig;

static void make(void)
{
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	rig_open(&rig);
}

static void finish(void)
{
	rig_close(&rig);
}

TestSuite(flood, .init = make, .fini = finish, .timeout = 120);

/* Of the request that came. */
static void answer_to_upgrade(char headers[192])
{
	char text[128], value[64];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;
	const char *key = strcasestr(rig.request, "Sec-WebSocket-Key: ");
	cr_assert(key != NULL);
	key += strlen("Sec-WebSocket-Key: ");
	snprintf(text, sizeof(text), "%.*s" MAGIC, (int)strcspn(key, "\r"), key);
	cr_assert(EVP_Digest(text, strlen(text), digest, &bytes, EVP_sha1(), NULL) == 1);
	EVP_EncodeBlock((unsigned char *)value, digest, (int)bytes);
	snprintf(headers, 192,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		value);
}

static void take_upgrade(void)
{
	char headers[192];
	cr_assert(rig_request(&rig, 5000));
	answer_to_upgrade(headers);
	rig_answer_bytes(&rig, headers, (uint32_t)strlen(headers));
}

/* A text frame; false where it is not taken. */
static bool say(const char *text)
{
	char frame[2 + 125];
	struct pollfd poll_fd = {.fd = rig.client, .events = POLLOUT};
	size_t size = strlen(text);
	cr_assert(le(sz, size, 125));
	if (poll(&poll_fd, 1, TAKEN_MS) != 1)
		return false;
	frame[0] = (char)0x81;
	frame[1] = (char)size;
	memcpy(frame + 2, text, size);
	rig_answer_bytes(&rig, frame, (uint32_t)size + 2);
	return true;
}

/* Under a URL that is at least so long. */
static void start(uint32_t url_bytes)
{
	static char url[URL_BYTES_MAX + 1];
	int size = snprintf(url, sizeof(url), "ws://127.0.0.1:%d/ws", rig.port);
	for (uint32_t i = (uint32_t)size; i < url_bytes; i++)
		url[i] = 'x';
	rig.hello.protocol = PROTOCOL_WEBSOCKET;
	rig.hello.url = text_of(url);
	rig.hello.log_level = 3; /* not a line for each of them */
	rig_start_open(&rig);
	take_upgrade();
	cr_assert(gt(int, (int)read(rig.client, rig.request, RIG_REQUEST_BYTES_MAX), 0));
	cr_assert(say("{\"type\":\"registered\",\"payload\":{\"host_id\":\"toy\"}}"));
}

static uint64_t processor_ms(void)
{
	char path[64];
	unsigned long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)rig.worker);
	FILE *file = fopen(path, "re");
	cr_assert(file != NULL);
	cr_assert(fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			  &user, &system) == 2);
	fclose(file);
	return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Nothing but these cancels, and looks at the host. */
static uint32_t hear_cancels(uint32_t count)
{
	struct message message;
	uint32_t heard = 0;
	while (heard < count && rig_hear(&rig, &message, 5000)) {
		heard += message.type == MESSAGE_CANCEL;
		cr_assert(message.type == MESSAGE_CANCEL || message.type == MESSAGE_PROBE ||
			  message.type == MESSAGE_RUN);
	}
	return heard;
}

/* Each kill is handed on while a command waits for its acceptance: a message, where the dashboard's
 * other words cost the supervisor nothing. */
Test(flood, while_the_supervisor_is_frozen_the_worker_waits_and_loses_nothing)
{
	uint32_t told = 0;
	start(0);
	cr_assert(say("{\"type\":\"command\",\"payload\":{\"command\":\"pull\"}}"));
	while (told < KILLS_MAX && say(KILL))
		told++;
	cr_assert(lt(u32, told, KILLS_MAX));
	uint64_t before = processor_ms();
	usleep(LOOKED_AT_MS * 1000);
	cr_expect(lt(u64, processor_ms() - before, LOOKED_AT_MS / 20));
	cr_assert(eq(u32, hear_cancels(told), told));
}

/* A first frame that makes the worker's buffer for the supervisor's frames as large as it gets. */
static void say_much_in_hello(void)
{
	static char large[TOKEN_BYTES_MAX + 1];
	memset(large, 'x', TOKEN_BYTES_MAX);
	struct message_hello *hello = &rig.hello;
	hello->own_token = hello->shared_token = text_of(large);
	hello->repo_url = (struct text){large, URL_BYTES_MAX};
	hello->ca_file = hello->repo_dir = hello->runs_dir = (struct text){large, PATH_BYTES_MAX};
	hello->location = hello->device_type = hello->theme_color = hello->nixpkgs_version =
		hello->branch = hello->pinned_pubkey = hello->host_type = (struct text){
			large, SHORT_TEXT_BYTES_MAX};
}

/* The worker has no room for what it would say, but still some for what it hears: a supervisor that
 * did not run for long may say all that it has at once. */
Test(flood, a_burst_of_the_supervisors_onto_an_inbox_that_fills_is_heard)
{
	say_much_in_hello();
	start(URL_BYTES_MAX);
	cr_assert(say("{\"type\":\"command\",\"payload\":{\"command\":\"pull\"}}"));
	for (uint32_t told = 0; told < KILLS_THAT_STALL; told++)
		cr_assert(say(KILL));
	usleep(TAKEN_MS * 1000);
	for (uint64_t i = 0; i < STARTS; i++)
		cr_assert(message_encode(&(struct message){.type = MESSAGE_STARTED},
				  channel_out(&rig.channel)) == 0);
	channel_flush(&rig.channel);
	usleep(TAKEN_MS * 1000);
	cr_assert(eq(u32, hear_cancels(KILLS_THAT_STALL), KILLS_THAT_STALL));
	while (channel_is_sending(&rig.channel))
		channel_flush(&rig.channel);
	rig_ping(&rig);
}

/* Reads frames of the worker's until its pong with these bytes comes. */
static void expect_pong(const char *bytes, uint32_t size)
{
	static uint8_t got[16 * 1024 * 1024];
	size_t have = 0;
	for (uint64_t until = rig_ms() + 10000; rig_ms() < until;) {
		struct pollfd poll_fd = {.fd = rig.client, .events = POLLIN};
		if (poll(&poll_fd, 1, 100) != 1)
			continue;
		ssize_t more = read(rig.client, got + have, sizeof(got) - have);
		cr_assert(gt(int, (int)more, 0), "the connection ended");
		have += (size_t)more;
		/* With its mask undone, the end of what was read. */
		const uint8_t *frame = got + have - (6 + size);
		bool is_same = have >= 6 + size && frame[0] == 0x8a && frame[1] == (0x80 | size);
		for (uint32_t i = 0; i < size && is_same; i++)
			is_same = (frame[6 + i] ^ frame[2 + i % 4]) == (uint8_t)bytes[i];
		if (is_same)
			return;
	}
	cr_fail("no pong");
}

/* The dashboard does not read the answers, of which the worker keeps a few. */
Test(flood, pings_that_nobody_waits_for_the_answers_of_cost_nothing)
{
	static char pings[PINGS_BYTES];
	const char last[] = "\x89\x04last";
	for (size_t i = 0; i < sizeof(pings); i++)
		pings[i] = i % 2 ? '\0' : (char)0x89;
	start(0);
	usleep(TAKEN_MS * 1000);
	for (int i = 0; i < PINGS_TIMES; i++)
		rig_answer_bytes(&rig, pings, sizeof(pings));
	rig_answer_bytes(&rig, last, sizeof(last) - 1);
	/* The connection is still there, and what was asked last is answered. */
	expect_pong("last", 4);
}

static void make_certificate(char path[128])
{
	char command[1024];
	snprintf(path, 128, "%s/tls.pem", rig.folder);
	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		"-subj /CN=dashboard -addext subjectAltName=IP:127.0.0.1 -keyout %s.key -out %s "
		"2>/dev/null && cat %s.key >> %s",
		path, path, path, path);
	if (system(command) != 0)
		cr_skip_test("skipped: there is no openssl");
}

static SSL *accept_tls(const char *certificate)
{
	struct pollfd listener = {.fd = rig.listener, .events = POLLIN};
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	cr_assert(eq(int, SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM), 1));
	cr_assert(eq(int, SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM), 1));
	cr_assert(eq(int, poll(&listener, 1, 10000), 1));
	rig.client = accept(rig.listener, NULL, NULL);
	SSL *tls = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_fd(tls, rig.client);
	cr_assert(eq(int, SSL_accept(tls), 1));
	return tls;
}

/* The worker has a heartbeat to send meanwhile, which TLS does not take. */
Test(flood, a_handshake_that_the_dashboard_does_not_go_on_with_costs_nothing)
{
	static const char registered[] =
		"\x81\x30{\"type\":\"registered\",\"payload\":{\"host_id\":\"x\"} }";
	char certificate[128], url[64], headers[192];
	make_certificate(certificate);
	snprintf(url, sizeof(url), "wss://127.0.0.1:%d/ws", rig.port);
	rig.hello.protocol = PROTOCOL_WEBSOCKET;
	rig.hello.url = text_of(url);
	rig.hello.ca_file = text_of(certificate);
	rig.hello.interval_ms = 1000;
	rig_start_open(&rig);
	SSL *tls = accept_tls(certificate);
	int got = SSL_read(tls, rig.request, RIG_REQUEST_BYTES_MAX);
	cr_assert(gt(int, got, 0));
	rig.request[got] = '\0';
	answer_to_upgrade(headers);
	cr_assert(gt(int, SSL_write(tls, headers, (int)strlen(headers)), 0));
	cr_assert(gt(int, SSL_read(tls, rig.request, RIG_REQUEST_BYTES_MAX), 0));
	cr_assert(gt(int, SSL_write(tls, registered, sizeof(registered) - 1), 0));
	usleep(TAKEN_MS * 1000);
	cr_assert(eq(int, SSL_renegotiate(tls), 1));
	cr_assert(eq(int, SSL_do_handshake(tls), 1)); /* it asks for one, and no more */
	usleep(LOOKED_AT_MS * 1000);
	uint64_t before = processor_ms();
	usleep(LOOKED_AT_MS * 1000);
	cr_expect(lt(u64, processor_ms() - before, LOOKED_AT_MS / 20));
	SSL_free(tls);
}
