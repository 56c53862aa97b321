/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A watch follows one file after the other. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/platform.h"

#define SOON_MS 1000

static char paths[2][32];
static int files[2];

static void make_files(void)
{
	for (int i = 0; i < 2; i++) {
		strcpy(paths[i], "/tmp/nixfleet-watch-XXXXXX");
		files[i] = mkstemp(paths[i]);
		cr_assert(ge(int, files[i], 0));
	}
}

static void remove_files(void)
{
	for (int i = 0; i < 2; i++) {
		close(files[i]);
		unlink(paths[i]);
	}
}

static bool says(const struct platform_watch *watch, int ms)
{
	struct pollfd wait = {.fd = watch->fd, .events = POLLIN};
	return poll(&wait, 1, ms) == 1;
}

TestSuite(watch, .init = make_files, .fini = remove_files);

Test(watch, says_that_its_file_changed_and_is_silent_when_that_was_taken)
{
	struct platform_watch watch = {-1, -1};
	cr_assert(zero(int, platform_watch_open(&watch, paths[0])));
	cr_assert(not(says(&watch, 0)));
	cr_assert(eq(i64, write(files[0], "x", 1), 1));
	cr_assert(says(&watch, SOON_MS));
	platform_watch_drain(&watch);
	cr_assert(not(says(&watch, 0)));
	platform_watch_close(&watch);
}

Test(watch, forgets_the_file_before)
{
	struct platform_watch watch = {-1, -1};
	cr_assert(zero(int, platform_watch_open(&watch, paths[0])));
	cr_assert(eq(i64, write(files[0], "x", 1), 1));
	platform_watch_close(&watch);
	cr_assert(zero(int, platform_watch_open(&watch, paths[1])));
	cr_assert(eq(i64, write(files[0], "x", 1), 1));
	cr_assert(not(says(&watch, 0)));
	cr_assert(eq(i64, write(files[1], "x", 1), 1));
	cr_assert(says(&watch, SOON_MS));
	platform_watch_close(&watch);
	platform_watch_close(&watch);
}

Test(watch, a_file_that_is_not_there_leaves_nothing_to_close)
{
	struct platform_watch watch = {-1, -1};
	cr_assert(eq(int, platform_watch_open(&watch, "/no/such/file"), -1));
	cr_assert(zero(int, platform_watch_open(&watch, paths[0])));
	platform_watch_close(&watch);
}
