/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/record_folder.h"

static char path[] = "/tmp/nixfleet-folder-XXXXXX";
static int folder = -1;

static void make(void)
{
	cr_assert(mkdtemp(path) != NULL);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void finish(void)
{
	char command[64];
	fd_drop(&folder);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	cr_assert(eq(int, system(command), 0));
}

TestSuite(record_folder, .init = make, .fini = finish);

static void write_record(uint64_t sequence, bool is_finished)
{
	char name[32];
	struct record record = {.state = RECORD_EMPTY};
	snprintf(name, sizeof(name), "run-%05u", (unsigned)sequence);
	own_fd fd = record_folder_open(folder, name, O_RDWR | O_CREAT);
	cr_assert(fd >= 0);
	struct record_frame accepted = {.type = RECORD_ACCEPTED,
		.accepted = {.sequence = sequence,
			.command = text_of("pull"),
			.origin = ORIGIN_LOCAL,
			.dashboard = TEXT_NONE}};
	struct record_frame result = {.type = RECORD_RESULT,
		.result = {.outcome = OUTCOME_EXITED,
			.reason = TEXT_NONE,
			.summary = TEXT_NONE,
			.method = TEXT_NONE,
			.left = TEXT_NONE}};
	cr_assert(record_append(fd, &record, &accepted) == 0);
	if (is_finished)
		cr_assert(record_append(fd, &record, &result) == 0);
}

Test(record_folder, more_than_it_lists_leave_out_the_oldest_that_are_finished)
{
	struct record_list list;
	write_record(1, false); /* it waits, so it counts however old it is */
	for (uint64_t i = 2; i <= RECORD_FOLDER_MAX + 20; i++)
		write_record(i, true);
	cr_assert(eq(int, record_folder_list(folder, &list), 0));
	cr_assert(eq(u32, list.count, RECORD_FOLDER_MAX));
	cr_assert(list.is_cut);
	cr_assert(eq(u64, list.entries[0].record.sequence, 1));
	for (uint32_t i = 1; i < list.count; i++)
		cr_assert(list.entries[i].record.sequence == i + 21);
	record_folder_finish(&list);
}

Test(record_folder, one_that_is_just_being_made_is_neither_used_nor_set_aside)
{
	struct record_list list;
	own_fd held = record_folder_open(folder, "run-a", O_RDWR | O_CREAT);
	cr_assert(eq(int, flock(held, LOCK_EX), 0));
	cr_assert(eq(int, record_folder_list(folder, &list), 0));
	cr_assert(eq(u32, list.count, 0));
	cr_assert(list.is_unsettled);
	record_folder_finish(&list);
	cr_assert(eq(int, flock(held, LOCK_UN), 0));
	cr_assert(eq(int, record_folder_list(folder, &list), 0));
	cr_assert(not(list.is_unsettled));
	cr_assert(eq(int, faccessat(folder, "run-a.aside", F_OK, 0), 0));
	record_folder_finish(&list);
}

Test(record_folder, two_that_look_do_not_take_each_other_for_a_runner)
{
	struct record_list list;
	write_record(1, true);
	own_fd other = record_folder_open(folder, "run-00001", O_RDWR);
	cr_assert(eq(int, flock(other, LOCK_SH), 0)); /* as another child that lists */
	cr_assert(eq(int, record_folder_list(folder, &list), 0));
	cr_assert(not(list.entries[0].is_live));
	record_folder_finish(&list);
}
