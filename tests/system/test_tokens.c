/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The host's own token: handed out once, on disk before its first use, and not the end of anything
 * when it is refused. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(tokens, .fini = finish, .timeout = 90);

static void begin(void)
{
	world_open(&world, "--provision");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_is_registered, NULL));
}

static void token_path(char path[WORLD_TEXT_BYTES])
{
	snprintf(path, WORLD_TEXT_BYTES, "%s/state/token", world.folder);
}

static bool token_of_file(char text[256])
{
	char path[WORLD_TEXT_BYTES];
	token_path(path);
	FILE *file = fopen(path, "re");
	bool has = file && fgets(text, 256, file);
	if (file)
		fclose(file);
	text[has ? strcspn(text, "\n") : 0] = '\0';
	return has;
}

/* With what the requests since number came: own, shared, none or bad. */
static uint32_t count_auth(size_t since, const char *auth)
{
	json_t *requests = world_requests(&world), *request;
	uint32_t count = 0;
	size_t at;
	json_array_foreach(requests, at, request)
	{
		const char *with = json_string_value(json_object_get(request, "auth"));
		const char *path = json_string_value(json_object_get(request, "path"));
		count += at >= since && with && strcmp(with, auth) == 0 &&
			 strstr(path, "register") != NULL;
	}
	json_decref(requests);
	return count;
}

static size_t request_count(void)
{
	json_t *requests = world_requests(&world);
	size_t count = json_array_size(requests);
	json_decref(requests);
	return count;
}

struct wanted {
	size_t since;
	const char *auth;
	uint32_t least;
};

static bool has_auth(struct world *unused, void *data)
{
	const struct wanted *wanted = data;
	(void)unused;
	return count_auth(wanted->since, wanted->auth) >= wanted->least;
}

static void expect_auth(size_t since, const char *auth, uint32_t least)
{
	struct wanted wanted = {since, auth, least};
	cr_assert(world_until(&world, 10000, has_auth, &wanted), "no request with %s", auth);
}

static void ask(const char *method, const char *what)
{
	char path[128];
	snprintf(path, sizeof(path), "/api/hosts/%s%s", world.host, what);
	cr_assert(world_request(&world, method, path, "", NULL) < 300);
}

Test(tokens, one_is_kept_for_its_owner_alone_and_used_from_then_on)
{
	char path[WORLD_TEXT_BYTES], text[256];
	struct stat info;
	begin();
	expect_auth(0, "own", 2);
	token_path(path);
	cr_assert(stat(path, &info) == 0);
	cr_assert(eq(int, (int)(info.st_mode & 07777), 0600));
	cr_assert(token_of_file(text) && strlen(text) > 8);
	/* The first request is the only one that had to do without it. */
	cr_assert(eq(u32, count_auth(0, "shared"), 1));
	char *log = world_log(&world);
	cr_assert(strstr(log, text) == NULL, "the log holds the token");
	free(log);
}

Test(tokens, one_is_used_after_a_restart)
{
	begin();
	expect_auth(0, "own", 2);
	cr_assert(eq(int, world_agent_stop(&world), 0));
	size_t since = request_count();
	world_agent_start(&world);
	expect_auth(since, "own", 2);
	cr_assert(eq(u32, count_auth(since, "shared"), 0));
}

Test(tokens, a_deleted_host_comes_back_with_the_shared_one_and_gets_a_new_one)
{
	char before[256], after[256];
	begin();
	expect_auth(0, "own", 2);
	cr_assert(token_of_file(before));
	size_t since = request_count();
	ask("DELETE", "");
	expect_auth(since, "shared", 1);
	since = request_count();
	expect_auth(since, "own", 2);
	cr_assert(token_of_file(after));
	cr_assert(ne(str, before, after));
}

Test(tokens, a_rotated_one_gives_way_to_the_shared_one)
{
	begin();
	expect_auth(0, "own", 2);
	size_t since = request_count();
	ask("POST", "/rotate");
	expect_auth(since, "shared", 3);
	cr_assert(world_until(&world, 10000, world_status_is, "why=all is well"));
}

Test(tokens, one_that_cannot_be_kept_is_used_and_said_aloud)
{
	world_open(&world, "--provision");
	world_set(&world, "NIXFLEET_TOKEN_CACHE", "%s/no/such/folder/token", world.folder);
	world_agent_start(&world);
	cr_assert(world_until(&world, 40000, world_is_registered, NULL));
	expect_auth(0, "own", 2);
	char *log = world_log(&world);
	cr_assert(strstr(log, "TOKEN IS NOT ON DISK") != NULL);
	free(log);
	cr_assert(eq(int, world_nfctl(&world, "status", NULL), 1)); /* degraded */
}
