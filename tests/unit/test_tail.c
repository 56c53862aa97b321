/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/output.h"
#include "worker/tail.h"

static int temp_file(void)
{
	char path[] = "/tmp/nixfleet-tail-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(ge(int, fd, 0));
	unlink(path);
	return fd;
}

static void put(int fd, const char *data, uint32_t size)
{
	struct bytes frame;
	bytes_init(&frame, 32768);
	struct output value = {.type = OUTPUT_CHUNK,
		.chunk = {.ms = 1, .stream = STREAM_STDOUT, .bytes = {data, size}}};
	cr_assert(eq(int, output_encode(&value, &frame), 0));
	cr_assert(eq(int, fd_write_all(fd, frame.data, frame.size), 0));
	bytes_finish(&frame);
}

static char *tail(int fd, uint32_t chars)
{
	struct bytes to;
	bytes_init(&to, 65536);
	cr_assert(eq(int, tail_read(fd, chars, &to), 0));
	cr_assert(le(u32, to.size, chars));
	bytes_append(&to, "", 1);
	return (char *)to.data;
}

Test(tail, short_output_is_whole)
{
	int fd = temp_file();
	put(fd, "one\n", 4);
	put(fd, "\x1b[31mtwo", 8);
	put(fd, "\x1b[0m\n", 5);
	cr_assert(eq(str, tail(fd, 100), "one\ntwo\n"));
	close(fd);
}

Test(tail, an_empty_file_is_no_output)
{
	int fd = temp_file();
	cr_assert(eq(str, tail(fd, 100), ""));
	close(fd);
}

Test(tail, long_output_keeps_its_end_from_a_lines_beginning)
{
	char line[64];
	int fd = temp_file();
	for (int i = 0; i < 50000; i++)
		put(fd, line, (uint32_t)snprintf(line, sizeof(line), "line %d of the output\n", i));
	char *got = tail(fd, 10000);
	cr_assert(ge(sz, strlen(got), 9900));
	cr_assert(eq(int, strncmp(got, "[earlier output left out]\nline ", 31), 0));
	cr_assert(eq(str, got + strlen(got) - 25, "line 49999 of the output\n"));
	free(got);
	close(fd);
}

Test(tail, output_of_colours_alone_is_read_further)
{
	int fd = temp_file();
	char colours[15000];
	for (size_t i = 0; i + 5 <= sizeof(colours); i += 5)
		memcpy(colours + i, "\x1b[31m", 5);
	put(fd, "the only line\n", 14);
	for (int i = 0; i < 20; i++)
		put(fd, colours, sizeof(colours));
	cr_assert(eq(str, tail(fd, 10000), "the only line\n"));
	close(fd);
}

Test(tail, one_line_without_end_is_cut)
{
	int fd = temp_file();
	char piece[15000];
	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 70; i++)
		put(fd, piece, sizeof(piece));
	char *got = tail(fd, 10000);
	cr_assert(eq(sz, strlen(got), 10000));
	free(got);
	close(fd);
}

Test(tail, missing_bytes_are_said_and_a_torn_end_is_left)
{
	int fd = temp_file();
	struct bytes frame;
	put(fd, "before\n", 7);
	bytes_init(&frame, 1024);
	struct output value = {.type = OUTPUT_SKIPPED, .skipped = {.bytes = 4096}};
	cr_assert(eq(int, output_encode(&value, &frame), 0));
	cr_assert(eq(int, fd_write_all(fd, frame.data, frame.size), 0));
	put(fd, "after\n", 6);
	cr_assert(eq(int, fd_write_all(fd, frame.data, frame.size - 1), 0));
	cr_assert(eq(
		str, tail(fd, 1000), "before\n\n[4096 bytes of output are missing here]\nafter\n"));
	bytes_finish(&frame);
	close(fd);
}

Test(tail, what_cannot_be_read_says_why)
{
	struct bytes to;
	bytes_init(&to, 100);
	cr_assert(eq(int, tail_read(-1, 50, &to), -1));
	cr_assert(eq(int, errno, EBADF));
}
