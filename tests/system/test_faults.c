/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A dashboard that answers badly, and the token it hands out. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/system/front.h"

#define MEMORY_GROWTH_KIB_MAX 4096

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(faults, .fini = finish, .timeout = 90);

static void begin(const char *options)
{
	world_open(&world, options);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho built; echo x >> $HOME/built\n");
	world_agent_start_registered(&world);
}

/* Each command's outcome is there, it ran once, and at most one report was a duplicate. */
static void switch_with(const char *fault)
{
	char text[WORLD_TEXT_BYTES];
	begin("");
	world_fault(&world, fault);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 20000);
	cr_assert(eq(str, (char *)world_outcome(&world, "status", text), "ok"));
	cr_assert(world_until(&world, 20000, world_status_is, "owed=0"));
	cr_assert(eq(u32, front_count(&world, "built", "x"), 1));
	cr_assert(le(u32, world_count(&world, "/status"), 2));
}

Test(faults, s10_a_report_lost_before_it_was_read_is_told_again)
{
	switch_with("{\"match\":\"status\",\"kind\":\"drop\",\"count\":1}");
	cr_assert(eq(u32, world_count(&world, "/status"), 2));
}

Test(faults, s10_a_reply_lost_after_acting_costs_at_most_one_duplicate)
{
	switch_with("{\"match\":\"status\",\"kind\":\"drop\",\"count\":1,\"act\":true}");
}

Test(faults, s10_answers_cut_anywhere)
{
	static const int bytes[] = {0, 1, 20, 90};
	char fault[128];
	begin("");
	for (int i = 0; i < 4; i++) {
		snprintf(fault, sizeof(fault),
			"{\"match\":\"status\",\"kind\":\"cut\",\"count\":1,\"bytes\":%d}",
			bytes[i]);
		uint32_t before = world_count(&world, "/status");
		world_fault(&world, fault);
		world_command(&world, "switch");
		world_expect_outcomes(&world, i + 1, 20000);
		cr_assert(world_until(&world, 20000, world_status_is, "owed=0"));
		cr_assert(le(u32, world_count(&world, "/status") - before, 2));
	}
	cr_assert(eq(u32, front_count(&world, "built", "x"), 4));
}

static uint32_t private_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned kib = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	FILE *file = fopen(path, "r");
	cr_assert(file != NULL);
	while (fgets(line, sizeof(line), file) && sscanf(line, "Private_Dirty: %u", &kib) != 1)
		;
	fclose(file);
	return kib;
}

static bool was_hit(struct world *at, void *count)
{
	uint32_t hits = 0;
	size_t i;
	json_t *request, *requests = world_requests(at);
	json_array_foreach(requests, i, request)
		hits += json_is_string(json_object_get(request, "fault"));
	json_decref(requests);
	return hits >= *(uint32_t *)count;
}

/* Three bad answers: nobody dies or grows, nobody storms, and the next good message is obeyed. */
static void outlive(const char *kind)
{
	char fault[512];
	uint32_t three = 3;
	begin("");
	pid_t worker = world_worker(&world);
	uint32_t before = private_kib(worker), asked = world_count(&world, "register");
	snprintf(fault, sizeof(fault), "{\"match\":\"register\",\"count\":3,%s}", kind);
	uint64_t start = world_ms();
	world_fault(&world, fault);
	cr_assert(world_until(&world, 60000, was_hit, &three), "the fault did not hit thrice");
	uint32_t requests = world_count(&world, "register") - asked;
	cr_assert(le(u32, requests, 6 + (uint32_t)(world_ms() - start) / 200));
	world_request(&world, "DELETE", "/api/faults", NULL, NULL);
	world_command(&world, "switch");
	world_expect_outcomes(&world, 1, 60000);
	cr_assert(eq(int, world_worker(&world), worker), "the worker was replaced");
	uint32_t after = private_kib(worker);
	cr_assert(after < before + MEMORY_GROWTH_KIB_MAX, "%u KiB, before %u", after, before);
}

Test(faults, s11_500)
{
	outlive("\"kind\":\"code\",\"status\":500,\"body\":\"Internal Server Error\"");
}

Test(faults, s11_429_without_retry_after)
{
	outlive("\"kind\":\"code\",\"status\":429");
}

Test(faults, s11_429_with_retry_after)
{
	outlive("\"kind\":\"code\",\"status\":429,\"retry_after\":2");
}

Test(faults, s11_401)
{
	outlive("\"kind\":\"code\",\"status\":401");
}

Test(faults, s11_html)
{
	outlive("\"kind\":\"html\"");
}

Test(faults, s11_truncated_json)
{
	outlive("\"kind\":\"truncated\"");
}

Test(faults, s11_deep_json)
{
	outlive("\"kind\":\"deep\"");
}

Test(faults, s11_wrong_types)
{
	outlive("\"kind\":\"types\"");
}

Test(faults, s11_garbage)
{
	outlive("\"kind\":\"garbage\"");
}

Test(faults, s11_huge_body)
{
	outlive("\"kind\":\"huge\",\"bytes\":52428800");
}
