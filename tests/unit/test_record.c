/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/record.h"

static int fd = -1;

static void make(void)
{
	char path[] = "/tmp/nixfleet-record-XXXXXX";
	fd = mkstemp(path);
	unlink(path);
	cr_assert(eq(int, record_reserve(fd), 0));
}

static void finish(void)
{
	fd_drop(&fd);
}

TestSuite(record, .init = make, .fini = finish);

static const struct record_frame accepted = {.type = RECORD_ACCEPTED,
	.accepted = {.sequence = 7,
		.command = {"switch", 6},
		.origin = ORIGIN_DASHBOARD,
		.dashboard = {"https://x", 9},
		.wall_ms = 5}};
static const struct record_frame result = {.type = RECORD_RESULT,
	.result = {.outcome = OUTCOME_EXITED,
		.code = 4,
		.reason = {"why", 3},
		.summary = {"", 0},
		.method = {"none", 4},
		.left = {"", 0}}};

static struct record reread(void)
{
	struct record record;
	cr_assert(eq(int, record_read(fd, &record), 0));
	return record;
}

Test(record, reserved_room_is_an_empty_record)
{
	struct record record = reread();
	cr_assert(eq(int, (int)record.state, RECORD_EMPTY));
	cr_assert(not(record.torn));
	cr_assert(eq(i64, lseek(fd, 0, SEEK_END), RECORD_BYTES));
}

Test(record, adds_up_to_the_states_of_a_life)
{
	struct record record = reread();
	const struct record_frame started = {.type = RECORD_STARTED,
		.started = {.pid = 42, .boot = {"b", 1}, .cgroup = {"", 0}}};
	const struct record_frame delivered = {.type = RECORD_DELIVERED};
	cr_assert(eq(int, record_append(fd, &record, &accepted), 0));
	cr_assert(eq(int, (int)reread().state, RECORD_WAITING));
	cr_assert(eq(int, record_append(fd, &record, &started), 0));
	cr_assert(eq(int, (int)reread().state, RECORD_RUNNING));
	cr_assert(eq(int, record_append(fd, &record, &result), 0));
	cr_assert(eq(int, record_append(fd, &record, &delivered), 0));
	record = reread();
	cr_assert(eq(int, (int)record.state, RECORD_FINISHED));
	cr_assert(eq(int, (int)record.told, RECORD_IS_DELIVERED));
	cr_assert(eq(i64, record.code, 4));
	cr_assert(eq(u64, record.pid, 42));
	cr_assert(eq(str, record.command, "switch"));
	cr_assert(eq(str, record.reason, "why"));
}

Test(record, a_torn_tail_is_cut_and_written_over)
{
	struct record record = reread();
	record_append(fd, &record, &accepted);
	uint32_t end = record.bytes;
	record_append(fd, &record, &result);
	uint32_t whole = record.bytes;
	for (uint32_t cut = end + 1; cut < whole; cut++) {
		uint8_t zero = 0, kept;
		cr_assert(eq(i64, pread(fd, &kept, 1, cut), 1));
		if (kept == 0)
			continue;
		fd_write_at(fd, &zero, 1, cut);
		record = reread();
		cr_assert(eq(int, (int)record.state, RECORD_WAITING));
		cr_assert(eq(u32, record.bytes, end));
		cr_assert(eq(int, record_append(fd, &record, &result), 0));
		cr_assert(eq(int, (int)reread().state, RECORD_FINISHED));
	}
}

Test(record, the_results_room_is_kept_for_it)
{
	struct record record = reread();
	const struct record_frame progress = {.type = RECORD_PROGRESS,
		.progress = {.current = 1, .total = 2, .stage = {"build", 5}}};
	record_append(fd, &record, &accepted);
	int count = 0;
	while (record_append(fd, &record, &progress) == 0)
		cr_assert(lt(int, ++count, 10000));
	cr_assert(eq(int, errno, ENOSPC));
	cr_assert(eq(int, record_append(fd, &record, &result), 0));
	cr_assert(eq(int, (int)reread().state, RECORD_FINISHED));
	cr_assert(eq(i64, lseek(fd, 0, SEEK_END), RECORD_BYTES));
}

Test(record, one_that_does_not_begin_with_accepted_is_foreign)
{
	struct record record = reread();
	record_append(fd, &record, &result);
	cr_assert(reread().is_foreign);
}

Test(record, names_are_legal_whatever_the_command)
{
	static const char *const commands[] = {"switch", "../../etc", "", "a b", "\xff\n",
		"a-very-long-command-name-that-goes-on-and-on-and-on-and-on"};
	char name[RUN_NAME_BYTES_MAX + 1];
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		record_make_name(1795523360662, text_of(commands[i]), 0xffff4f2a, name);
		cr_assert(record_name_is_legal(text_of(name)), "%s", name);
	}
	record_make_name(1795523360662, text_of("switch"), 0xffff4f2a, name);
	cr_assert(eq(str, name, "20261124T122920Z-switch-4f2a"));
	cr_assert(not(record_name_is_legal(text_of("../x"))));
	cr_assert(not(record_name_is_legal(text_of(".x"))));
	cr_assert(not(record_name_is_legal(text_of(""))));
	cr_assert(not(record_name_is_legal((struct text){"a\0b", 3})));
}
