/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The agent alone in a network namespace, the dashboard and the name server at the other end of a
 * cable: cold boots, name servers that are late or silent, links that drop everything.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/front.h"

#define NAME "dash.test"

static struct world world;
static struct front_network network;

static void finish(void)
{
	world_close(&world);
}

TestSuite(network, .fini = finish, .timeout = 120);

static void begin(const char *host)
{
	front_network_open(&network);
	world_open(&world, "--listen 0.0.0.0:0");
	world_set(&world, "NIXFLEET_URL", "http://%s:%d", host, world.port);
}

static void start_agent(void)
{
	front_network_enter(&network, true);
	world_agent_start(&world);
	front_network_enter(&network, false);
}

static pid_t start_name_server(const char *answer)
{
	char *argv[] = {"dnsmasq", "-k", "-C", "/dev/null", "--no-hosts", "--no-resolv",
		"--user=root", "--group=root", "--pid-file=", "--log-queries", "--log-facility=-",
		"--interface=near", "--bind-interfaces", (char *)(uintptr_t)answer, NULL};
	return front_start(&world, "dns.log", argv);
}

static char *tail_of(char *log)
{
	size_t size = strlen(log);
	return size > 3000 ? log + size - 3000 : log;
}

/* Milliseconds of the first request since then; the dashboard's clock is ours. */
static double first_contact(uint64_t since, uint64_t most_ms)
{
	bool is_seen = world_until(&world, most_ms, world_is_registered, NULL);
	char *log = world_log(&world);
	cr_assert(is_seen, "no contact:\n%s", tail_of(log));
	free(log);
	json_t *requests = world_requests(&world), *request;
	double first = 1e18;
	size_t at;
	json_array_foreach(requests, at, request)
	{
		const char *path = json_string_value(json_object_get(request, "path"));
		double ms = json_number_value(json_object_get(request, "ms"));
		if (strstr(path, "/register") && ms >= (double)since && ms < first)
			first = ms;
	}
	json_decref(requests);
	return first - (double)since;
}

static bool waits_for(struct world *at, void *needle)
{
	json_t *status = world_status(at);
	const char *gate = json_string_value(json_object_get(status, "gate"));
	const char *reason = json_string_value(json_object_get(status, "gate_reason"));
	bool does = gate && reason && strcmp(gate, "waiting") == 0 && strcasestr(reason, needle);
	json_decref(status);
	return does;
}

static void expect_wait(char *why)
{
	char *status;
	bool does = world_until(&world, 10000, waits_for, why);
	int code = world_nfctl(&world, "status", &status);
	cr_assert(does, "status does not say '%s':\n%s", why, status);
	cr_assert(eq(int, code, 1));
	cr_assert(strstr(status, "waiting for the network") != NULL, "%s", status);
	cr_assert(strstr(status, "gate       waiting for ") != NULL, "%s", status);
	free(status);
}

Test(network, s06_cold_boot_without_a_route)
{
	begin(FRONT_DASHBOARD_ADDRESS);
	start_agent();
	expect_wait("no route");
	cr_assert(eq(u32, world_count(&world, "register"), 0));
	uint64_t connected = world_ms();
	front_network_connect(&world, &network);
	double ms = first_contact(connected, 10000);
	cr_assert(ms < 2000, "first contact after %.0f ms", ms);
	json_t *status = world_status(&world);
	cr_assert(eq(int, (int)json_integer_value(json_object_get(status, "worker_starts")), 1));
	json_decref(status);
}

Test(network, s06_cold_boot_without_a_route_and_names)
{
	front_need("dnsmasq");
	begin(NAME);
	front_resolver(&world, "nameserver " FRONT_DASHBOARD_ADDRESS "\n");
	start_name_server("--address=/" NAME "/" FRONT_DASHBOARD_ADDRESS);
	start_agent();
	expect_wait(NAME);
	uint64_t connected = world_ms();
	front_network_connect(&world, &network);
	double ms = first_contact(connected, 10000);
	cr_assert(ms < 2000, "first contact after %.0f ms", ms);
}

Test(network, s07_name_server_that_comes_late)
{
	front_need("dnsmasq");
	begin(NAME);
	front_resolver(&world, "nameserver " FRONT_DASHBOARD_ADDRESS "\n");
	front_network_connect(&world, &network);
	pid_t empty = start_name_server("--address=/" NAME "/");
	start_agent();
	expect_wait(NAME);
	front_kill(empty);
	uint64_t ready = world_ms();
	start_name_server("--address=/" NAME "/" FRONT_DASHBOARD_ADDRESS);
	/* Nothing tells a host that a name is known now: the probe every 2 s finds out. */
	double ms = first_contact(ready, 20000);
	cr_assert(ms < 5000, "first contact after %.0f ms", ms);
}

/* Asks as a person does; the time, with the start of nfctl in it. */
static uint64_t status_ms(char **text)
{
	uint64_t start = world_ms();
	world_nfctl(&world, "status", text);
	return world_ms() - start;
}

/* Until the gate is what it should be: status is quick and the worker never late. */
static void watch(const char *gate, uint64_t most_ms)
{
	uint64_t end = world_ms() + most_ms;
	uint32_t asked = 0, slow = 0;
	for (bool is_there = false; !is_there; asked++) {
		char *text;
		uint64_t ms = status_ms(&text);
		slow += ms >= 100;
		cr_assert(strstr(text, "answers late") == NULL, "%s", text);
		is_there = strstr(text, gate) != NULL;
		cr_assert(is_there || world_ms() < end, "%s", text);
		free(text);
		poll(NULL, 0, 50);
	}
	/* A machine that does other things too may hold one up. */
	cr_assert(slow <= asked / 50, "%u of %u answers took 100 ms or more", slow, asked);
}

Test(network, s07_silent_name_servers, .timeout = 180)
{
	front_need("nft dnsmasq");
	begin(NAME);
	front_resolver(&world, "nameserver " FRONT_DASHBOARD_ADDRESS
			       "\nnameserver 10.77.0.3\nnameserver 10.77.0.4\n");
	front_network_connect(&world, &network);
	cr_assert(eq(int,
		front_shell(&world,
			"ip addr add 10.77.0.3/24 dev near && ip addr add 10.77.0.4/24 dev near "
			"&& nft add table ip t && nft 'add chain ip t in { type filter hook input "
			"priority 0; }' && nft add rule ip t in udp dport 53 drop && "
			"nft add rule ip t in tcp dport 53 drop"),
		0));
	start_name_server("--address=/" NAME "/" FRONT_DASHBOARD_ADDRESS);
	uint64_t started = world_ms();
	start_agent();
	cr_assert(world_until(&world, 10000, waits_for, ""));
	watch("gate       opened anyway", 70000);
	cr_assert(ge(u64, world_ms() - started, 55000));
	char *log = world_log(&world);
	cr_assert(strstr(log, "the network gate is opened anyway") != NULL, "%s", tail_of(log));
	free(log);
	pid_t worker = world_worker(&world);
	watch("no answer from the name servers", 40000);
	cr_assert(eq(int, kill(world.agent, 0), 0));
	cr_assert(eq(int, front_shell(&world, "nft delete table ip t"), 0));
	uint64_t back = world_ms();
	double ms = first_contact(back, 60000);
	cr_assert(ms < 45000, "first contact after %.0f ms", ms);
	cr_assert(eq(int, world_worker(&world), worker));
}

static void begin_connected(void)
{
	begin(FRONT_DASHBOARD_ADDRESS);
	front_network_connect(&world, &network);
	start_agent();
	bool is_seen = world_until(&world, 15000, world_is_registered, NULL);
	char *log = world_log(&world);
	cr_assert(is_seen, "%s", tail_of(log));
	free(log);
}

static void expect_notice(uint64_t most_ms)
{
	bool is_noticed = world_until(
		&world, most_ms, world_status_is, "why=no contact with the dashboard");
	char *status;
	world_nfctl(&world, "status", &status);
	cr_assert(is_noticed, "%s", status);
	free(status);
}

static void expect_return(uint64_t since, double most_ms)
{
	uint32_t before = world_count(&world, "register");
	uint64_t end = since + (uint64_t)most_ms + 5000;
	while (world_count(&world, "register") == before && world_ms() < end)
		poll(NULL, 0, 5);
	char *log = world_log(&world);
	double ms = (double)(world_ms() - since);
	cr_assert(ms < most_ms, "back after %.0f ms:\n%s", ms, tail_of(log));
	free(log);
}

/* Nothing is said any more and nobody says so: the state of a dead middle box. */
Test(network, s08_a_half_open_link_is_noticed_and_left)
{
	front_need("nft");
	begin_connected();
	cr_assert(eq(int,
		front_shell(&world,
			"nft add table ip t && nft 'add chain ip t in { type filter hook input "
			"priority 0; }' && nft add rule ip t in iif near drop"),
		0));
	expect_notice(60000);
	cr_assert(eq(int, front_shell(&world, "nft delete table ip t"), 0));
	expect_return(world_ms(), 45000);
	cr_assert(eq(int, kill(world.agent, 0), 0));
}

Test(network, s08_a_link_that_returns_is_used_at_once)
{
	begin_connected();
	front_network_enter(&network, true);
	cr_assert(eq(int, front_shell(&world, "ip link set far down"), 0));
	expect_notice(60000);
	/* Long enough for the pauses between tries to be longer than what is asked for. */
	poll(NULL, 0, 12000);
	uint64_t back = world_ms();
	cr_assert(eq(int, front_shell(&world, "ip link set far up"), 0));
	front_network_enter(&network, false);
	expect_return(back, 2000);
}

/* An address that has no way yet, and the way a moment later: so do DHCP and a VPN. */
Test(network, s08_a_route_behind_its_address_is_used_at_once)
{
	begin_connected();
	front_network_enter(&network, true);
	cr_assert(eq(int, front_shell(&world, "ip addr flush dev far"), 0));
	expect_notice(60000);
	poll(NULL, 0, 12000);
	cr_assert(eq(int,
		front_shell(&world,
			"ip addr add " FRONT_AGENT_ADDRESS
			"/32 dev far && sleep 0.1 && ip route add " FRONT_DASHBOARD_ADDRESS
			"/32 dev far"),
		0));
	uint64_t back = world_ms();
	front_network_enter(&network, false);
	expect_return(back, 2000);
}
