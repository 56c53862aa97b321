/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"

/* Takes the place of standard error, filled up by somebody who waits for its reader. */
static void fill(int ends[2])
{
	static const char piece[4096];
	int flags = fcntl(ends[1], F_GETFL);
	cr_assert(eq(int, fd_nonblocking(ends[1]), 0));
	while (write(ends[1], piece, sizeof(piece)) > 0)
		;
	cr_assert(eq(int, fcntl(ends[1], F_SETFL, flags), 0));
	cr_assert(eq(int, dup2(ends[1], STDERR_FILENO), STDERR_FILENO));
}

static void drain(int fd)
{
	char piece[4096];
	cr_assert(eq(int, fd_nonblocking(fd), 0));
	while (read(fd, piece, sizeof(piece)) > 0)
		;
}

/* What is written next, and before it how much was not. */
static void expect_lines(int fd)
{
	char line[256] = "";
	log_info("here");
	cr_assert(gt(int, (int)read(fd, line, sizeof(line) - 1), 0));
	cr_assert(eq(str, line,
		"nixfleet: warn: 1 lines were lost: the log took none\nnixfleet: info: here\n"));
}

Test(log, a_reader_that_stands_still_stops_nobody, .timeout = 5)
{
	int ends[2];
	cr_assert(eq(int, pipe(ends), 0));
	fill(ends);
	log_info("nobody reads this");
	drain(ends[0]);
	expect_lines(ends[0]);
}

/* The journal's is a socket. */
Test(log, a_journal_that_stands_still_stops_nobody, .timeout = 5)
{
	int ends[2];
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0));
	fill(ends);
	log_info("nobody reads this");
	drain(ends[0]);
	expect_lines(ends[0]);
}

Test(log, one_that_is_closed_stops_nobody, .timeout = 5)
{
	close(STDERR_FILENO);
	log_info("nobody reads this");
}
