/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/kept.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/fd.h"

static int folder;
static char reason[SHORT_TEXT_BYTES_MAX + 1];
static struct rules_kept_pause found;

static void begin(void)
{
	char path[] = "/tmp/nixfleet-kept-XXXXXX";
	cr_assert(mkdtemp(path) != NULL);
	folder = open(path, O_RDONLY | O_DIRECTORY);
}

static void finish(void)
{
	char link[64], path[4096] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
	ssize_t size = readlink(link, path, sizeof(path) - 1);
	unlinkat(folder, "settings", 0);
	unlinkat(folder, "settings.bad", 0);
	if (size > 0)
		rmdir(path);
	close(folder);
}

TestSuite(kept, .init = begin, .fini = finish);

static void write_one(uint64_t left_ms)
{
	struct rules_pause pause = {.is_on = true, .until_wall_ms = 123456, .reason = "because"};
	cr_assert(eq(int, kept_write(folder, &pause, left_ms), 0));
}

Test(kept, what_is_written_is_read_less_what_has_passed)
{
	write_one(60000);
	kept_read(folder, &found, reason);
	cr_assert(found.is_on);
	cr_assert(eq(i64, found.until_wall_ms, 123456));
	cr_assert(le(u64, found.left_ms, 60000));
	cr_assert(gt(u64, found.left_ms, 50000));
	cr_assert(text_is(found.reason, "because"));
	write_one(PAUSE_FOR_EVER);
	kept_read(folder, &found, reason);
	cr_assert(eq(u64, found.left_ms, PAUSE_FOR_EVER));
}

Test(kept, no_file_is_no_pause)
{
	kept_read(folder, &found, reason);
	cr_assert(not(found.is_on));
	cr_assert(eq(int, faccessat(folder, "settings.bad", F_OK, 0), -1));
}

Test(kept, every_torn_one_is_set_aside_by_name)
{
	char data[1024];
	write_one(60000);
	ssize_t size = fd_read_file(folder, KEPT_NAME, data, sizeof(data));
	cr_assert(gt(int, (int)size, 0));
	for (ssize_t cut = 0; cut < size; cut++) {
		unlinkat(folder, "settings.bad", 0);
		cr_assert(eq(int, fd_replace_file(folder, KEPT_NAME, data, (size_t)cut, 0600), 0));
		kept_read(folder, &found, reason);
		cr_assert(not(found.is_on));
		cr_assert(eq(int, faccessat(folder, "settings.bad", F_OK, 0), 0));
		cr_assert(eq(int, faccessat(folder, KEPT_NAME, F_OK, 0), -1));
	}
	data[size - 1] ^= 1;
	cr_assert(eq(int, fd_replace_file(folder, KEPT_NAME, data, (size_t)size, 0600), 0));
	kept_read(folder, &found, reason);
	cr_assert(not(found.is_on));
}

/* A table that is full, or a disk that fails, says nothing of what stands in the file. */
Test(kept, one_that_cannot_be_opened_now_stays_for_the_next_start)
{
	struct rlimit all, none;
	write_one(PAUSE_FOR_EVER);
	cr_assert(getrlimit(RLIMIT_NOFILE, &all) == 0);
	none = (struct rlimit){1, all.rlim_max};
	cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
	kept_read(folder, &found, reason);
	cr_assert(setrlimit(RLIMIT_NOFILE, &all) == 0);
	cr_assert(not(found.is_on));
	kept_read(folder, &found, reason);
	cr_assert(found.is_on);
}

Test(kept, what_is_no_file_is_set_aside)
{
	cr_assert(symlinkat("/etc/passwd", folder, "settings") == 0);
	kept_read(folder, &found, reason);
	cr_assert(not(found.is_on));
	cr_assert(faccessat(folder, "settings.bad", F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}
