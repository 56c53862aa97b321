/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A real web server before the dashboard, with TLS and limits, and real forward proxies. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/front.h"

static struct world world;
static int port;

static void finish(void)
{
	world_close(&world);
}

TestSuite(front, .fini = finish, .timeout = 90);

/* The dashboard behind nginx, whose server block holds extra. */
static pid_t begin(const char *http, const char *extra)
{
	char server[2048];
	front_need("nginx openssl");
	world_open(&world, "");
	front_authority(&world, "mine");
	port = front_port();
	snprintf(server, sizeof(server),
		"listen 127.0.0.1:%d ssl;\nssl_certificate mine-host.pem;\n"
		"ssl_certificate_key mine-host.key;\nssl_protocols TLSv1.2 TLSv1.3;\n"
		"location / {\n%s\nproxy_pass http://127.0.0.1:%d;\n}",
		port, extra, world.port);
	pid_t nginx = front_nginx(&world, http, server);
	front_await(port);
	world_set(&world, "NIXFLEET_URL", "https://localhost:%d", port);
	world_set(&world, "NIXFLEET_ALLOW_INSECURE_HTTP", NULL);
	world_set(&world, "NIXFLEET_CA_FILE", "%s/mine.pem", world.folder);
	return nginx;
}

static void start_and_register(void)
{
	world_agent_start(&world);
	bool is_seen = world_until(&world, 15000, world_is_registered, NULL);
	char *log = world_log(&world);
	cr_assert(is_seen, "never seen by the dashboard:\n%s", log);
	free(log);
}

static bool detail_has(struct world *at, void *needle)
{
	json_t *status = world_status(at);
	const char *detail = json_string_value(json_object_get(status, "link_detail"));
	bool has = detail && strcasestr(detail, needle) != NULL;
	json_decref(status);
	return has;
}

/* Nothing got through, and the person who asks is told why. */
static void expect_refusal(char *why)
{
	world_agent_start(&world);
	bool has = world_until(&world, 20000, detail_has, why);
	char *status, *log = world_log(&world);
	world_nfctl(&world, "status", &status);
	cr_assert(has, "status does not say '%s':\n%s\n%s", why, status, log);
	cr_assert(eq(u32, world_count(&world, ""), 0));
	cr_assert(eq(int, kill(world.agent, 0), 0));
	free(status);
	free(log);
}

static void expect_doctor(const char *needle)
{
	char *said;
	world_nfctl(&world, "doctor", &said);
	cr_assert(strstr(said, needle) != NULL, "doctor does not say '%s':\n%s", needle, said);
	free(said);
}

static bool has_more(struct world *at, void *before)
{
	return world_count(at, "register") > *(uint32_t *)before;
}

static void expect_more(uint32_t more, uint64_t ms)
{
	uint32_t before = world_count(&world, "register") + more - 1;
	bool has = world_until(&world, ms, has_more, &before);
	char *log = world_log(&world);
	size_t size = strlen(log);
	cr_assert(has, "no more heartbeats:\n%s", size > 3000 ? log + size - 3000 : log);
	free(log);
}

Test(front, tls_by_a_private_authority_carries_heartbeats_and_a_command)
{
	int one = 1;
	begin("", "");
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho built\n");
	start_and_register();
	cr_assert(gt(u32, front_count(&world, "access.log", "register"), 0));
	world_command(&world, "switch");
	cr_assert(world_until(&world, 15000, world_has_outcomes, &one));
	char text[WORLD_TEXT_BYTES];
	cr_assert(eq(str, (char *)world_outcome(&world, "status", text), "ok"));
	cr_assert(eq(u32, front_count(&world, "access.log", "/status"), 1));
}

Test(front, a_wrong_authority_is_refused)
{
	begin("", "");
	front_authority(&world, "other");
	world_set(&world, "NIXFLEET_CA_FILE", "%s/other.pem", world.folder);
	expect_refusal("certificate");
	expect_doctor("failed   tls ");
}

Test(front, a_certificate_for_another_name_is_refused)
{
	begin("", "");
	world_set(&world, "NIXFLEET_URL", "https://127.0.0.1:%d", port);
	expect_refusal("127.0.0.1");
}

static void pin(const char *name)
{
	cr_assert(eq(int,
		front_shell(&world,
			"openssl x509 -in %s-host.pem -noout -pubkey | "
			"openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | "
			"openssl base64 -A > pin",
			name),
		0));
	char *text = front_text(&world, "pin");
	world_set(&world, "NIXFLEET_PINNED_PUBKEY", "sha256//%s", text);
	free(text);
}

Test(front, the_right_pin_is_accepted)
{
	begin("", "");
	pin("mine");
	start_and_register();
	expect_doctor("the certificate is good, its key is the pinned one");
}

Test(front, a_wrong_pin_is_refused)
{
	begin("", "");
	front_authority(&world, "other");
	pin("other");
	expect_refusal("pin");
	expect_doctor("the server's key is not the pinned one");
}

/* The times of the web server's log at which it gave this answer to a heartbeat. */
static uint32_t times_of(int code, double *times, uint32_t most)
{
	uint32_t count = 0;
	char *text = front_text(&world, "access.log"), *rest = text, *line;
	while ((line = strsep(&rest, "\n")) && count < most) {
		double at;
		int status;
		if (sscanf(line, "%lf %d", &at, &status) == 2 && (status == code || code == 0) &&
			strstr(line, "register"))
			times[count++] = at;
	}
	free(text);
	return count;
}

static bool was_limited(struct world *at, void *count)
{
	return front_count(at, "access.log", " 429 ") >= *(uint32_t *)count;
}

Test(front, s11_a_real_limit_is_respected_and_recovered_from)
{
	double all[256], limited[64];
	uint32_t few = 2;
	begin("limit_req_zone $binary_remote_addr zone=few:1m rate=60r/m;\n"
	      "map $status $wait { 429 2; default \"\"; }",
		"limit_req zone=few burst=3 nodelay;\nlimit_req_status 429;\n"
		"add_header Retry-After $wait always;");
	start_and_register();
	cr_assert(world_until(&world, 15000, was_limited, &few));
	expect_more(3, 20000);
	uint32_t requests = times_of(0, all, 256), refused = times_of(429, limited, 64);
	cr_assert(ge(u32, refused, few));
	for (uint32_t i = 0; i < refused; i++) {
		for (uint32_t k = 0; k < requests; k++)
			cr_assert(all[k] <= limited[i] || all[k] - limited[i] > 1.9,
				"asked again %.3f s after a 429", all[k] - limited[i]);
	}
	cr_assert(eq(int, kill(world.agent, 0), 0));
}

Test(front, s08_a_slow_server_is_waited_for)
{
	begin("", "limit_rate 40;");
	start_and_register();
	expect_more(2, 20000);
	cr_assert(eq(u32, front_count(&world, "access.log", " 499 "), 0));
}

Test(front, s08_a_server_that_dies_in_the_middle_is_used_again)
{
	pid_t nginx = begin("", "limit_rate 40;");
	char *argv[] = {"nginx", "-p", world.folder, "-e", "nginx.log", "-c", "nginx.conf", NULL};
	start_and_register();
	/* An answer takes seconds, so this one is cut in the middle or soon after. */
	front_kill(nginx);
	cr_assert(world_until(&world, 20000, world_status_is, "why=no contact with the dashboard"));
	front_start(&world, "nginx.out", argv);
	front_await(port);
	expect_more(2, 45000);
}

Test(front, s11_a_gateway_without_its_dashboard_is_outlived)
{
	begin("", "");
	start_and_register();
	world_dashboard_stop(&world);
	cr_assert(world_until(&world, 20000, detail_has, "502"));
	world_dashboard_start(&world, "");
	expect_more(2, 45000);
}

Test(front, redirects_are_not_followed)
{
	begin("", "return 307 https://$http_host/elsewhere$request_uri;");
	expect_refusal("307");
	cr_assert(eq(u32, front_count(&world, "access.log", "/elsewhere"), 0));
	cr_assert(gt(u32, front_count(&world, "access.log", " 307 "), 0));
}

/* A forward proxy; its port. */
static int begin_proxy(pid_t *pid)
{
	char text[1024];
	char *argv[] = {"tinyproxy", "-d", "-c", "tinyproxy.conf", NULL};
	int at = front_port();
	front_need("tinyproxy");
	snprintf(text, sizeof(text),
		"Port %d\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nLogFile \"%s/proxy.log\"\n"
		"LogLevel Connect\nPidFile \"%s/proxy.pid\"\nAllow 127.0.0.1\n",
		at, world.folder, world.folder);
	world_file(&world, "tinyproxy.conf", text, 0644);
	*pid = front_start(&world, "proxy.out", argv);
	front_await(at);
	return at;
}

Test(front, requests_pass_through_the_proxy_of_http_proxy)
{
	pid_t pid;
	front_need("tinyproxy");
	world_open(&world, "");
	world_set(&world, "http_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	start_and_register();
	expect_more(1, 10000);
	cr_assert(ge(u32, front_count(&world, "proxy.log", "POST http://127.0.0.1"), 2));
	/* Nothing goes past it. */
	front_kill(pid);
	cr_assert(world_until(&world, 20000, world_status_is, "why=no contact with the dashboard"));
}

Test(front, tls_goes_through_the_proxy_of_https_proxy)
{
	pid_t pid;
	char needle[64];
	begin("", "");
	world_set(&world, "https_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	start_and_register();
	snprintf(needle, sizeof(needle), "CONNECT localhost:%d", port);
	cr_assert(ge(u32, front_count(&world, "proxy.log", needle), 1));
	front_kill(pid);
	cr_assert(world_until(&world, 20000, world_status_is, "why=no contact with the dashboard"));
}

Test(front, no_proxy_leaves_the_proxy_out)
{
	pid_t pid;
	front_need("tinyproxy");
	world_open(&world, "");
	world_set(&world, "http_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	world_set(&world, "no_proxy", "127.0.0.1");
	start_and_register();
	cr_assert(eq(u32, front_count(&world, "proxy.log", "POST"), 0));
}

static bool proxy_was_asked(struct world *at, void *needle)
{
	return front_count(at, "proxy.log", needle) > 0;
}

/* The gate's probe goes to the proxy too: a host without a resolver of its own gets out. */
Test(front, a_name_that_only_the_proxy_could_know_is_the_proxys_affair)
{
	pid_t pid;
	front_need("tinyproxy");
	world_open(&world, "");
	world_set(&world, "http_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	world_set(&world, "NIXFLEET_URL", "http://only-there.invalid:%d", world.port);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "gate=open"));
	cr_assert(world_until(&world, 15000, proxy_was_asked, "POST http://only-there.invalid"));
}

/* ---- the same for a WebSocket ---- */

static pid_t begin_websocket(void)
{
	pid_t nginx = begin("map $http_upgrade $link { default upgrade; '' close; }",
		"proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n"
		"proxy_set_header Connection $link;\nproxy_read_timeout 90s;");
	world_set(&world, "NIXFLEET_URL", "wss://localhost:%d/ws", port);
	return nginx;
}

Test(front, a_websocket_over_tls_carries_a_command_its_output_and_its_outcome)
{
	int one = 1;
	char text[WORLD_TEXT_BYTES];
	begin_websocket();
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\nseq 1 2000\nexit 3\n");
	start_and_register();
	world_command(&world, "switch");
	cr_assert(world_until(&world, 15000, world_has_outcomes, &one));
	cr_assert(eq(str, (char *)world_outcome(&world, "status", text), "error"));
	json_t *seen = world_seen(&world);
	const json_t *row = json_array_get(json_object_get(seen, "log"), 0);
	cr_expect(eq(int, (int)json_integer_value(json_object_get(row, "lines")), 2000));
	cr_expect(eq(int, (int)json_array_size(json_object_get(seen, "violations")), 0));
	json_decref(seen);
}

Test(front, a_websocket_trusts_nobody_else_either)
{
	begin_websocket();
	front_authority(&world, "other");
	world_set(&world, "NIXFLEET_CA_FILE", "%s/other.pem", world.folder);
	expect_refusal("certificate");
	world_agent_stop(&world);
	world_set(&world, "NIXFLEET_CA_FILE", "%s/mine.pem", world.folder);
	pin("other");
	expect_refusal("key");
	world_agent_stop(&world);
	pin("mine");
	start_and_register();
}

Test(front, a_websocket_goes_through_the_proxy_of_https_proxy)
{
	pid_t pid;
	char needle[64];
	begin_websocket();
	world_set(&world, "https_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	start_and_register();
	snprintf(needle, sizeof(needle), "CONNECT localhost:%d", port);
	cr_assert(ge(u32, front_count(&world, "proxy.log", needle), 1));
	front_kill(pid);
	cr_assert(world_until(&world, 20000, world_status_is, "why=no contact with the dashboard"));
}

Test(front, a_plain_websocket_goes_through_the_proxy_too)
{
	pid_t pid;
	char needle[64];
	front_need("tinyproxy");
	world_open(&world, "");
	world_set(&world, "NIXFLEET_URL", "ws://127.0.0.1:%d/ws", world.port);
	world_set(&world, "http_proxy", "http://127.0.0.1:%d", begin_proxy(&pid));
	start_and_register();
	snprintf(needle, sizeof(needle), "CONNECT 127.0.0.1:%d", world.port);
	cr_assert(ge(u32, front_count(&world, "proxy.log", needle), 1));
	front_kill(pid);
}

/* The gateway ends what it carries: the host is back at once, and told nothing twice. */
Test(front, s08_a_gateway_that_dies_under_a_websocket_is_used_again)
{
	char *argv[] = {"nginx", "-p", world.folder, "-e", "nginx.log", "-c", "nginx.conf", NULL};
	pid_t nginx = begin_websocket();
	start_and_register();
	front_kill(nginx);
	cr_assert(world_until(&world, 20000, world_status_is, "why=no contact with the dashboard"));
	front_start(&world, "nginx.out", argv);
	front_await(port);
	cr_assert(world_until(&world, 20000, world_status_is, "why=all is well"));
}
