/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The runner's one wait. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/runner/run.h"

#define READ_BYTES (64 * 1024)
/* A flood must not keep the FIFO and the deadline waiting. As much as a widened pipe holds. */
#define READS_A_TURN 16

uint64_t run_ms(const struct run *run)
{
	return mono_ms_since(mono_now(), run->started);
}

static void take_lines(struct run *run, enum stream stream, const char *data, uint32_t size)
{
	struct line *line = &run->lines[stream == STREAM_STDERR];
	while (line_take(line, &data, &size))
		run_line(run, line->text);
}

/* Reads what is there; closes at the end of file. */
static void take_output(struct run *run, int *fd, enum stream stream)
{
	uint8_t buffer[READ_BYTES];
	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t got = read(*fd, buffer, sizeof(buffer));
		if (got > 0) {
			sink_take(&run->sink, run_ms(run), stream, buffer, (uint32_t)got);
			take_lines(run, stream, (const char *)buffer, (uint32_t)got);
			if ((size_t)got < sizeof(buffer) / 2)
				return;
			continue;
		}
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			fd_drop(fd);
		return;
	}
}

static void ask(struct run *run, enum run_asked asked)
{
	/* Politeness may turn into haste, never back. */
	if (asked > run->asked)
		run->asked = asked;
}

static void take_control(struct run *run)
{
	char bytes[16];
	ssize_t got = read(run->control, bytes, sizeof(bytes));
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == 't')
			ask(run, ASKED_CANCEL);
		else if (bytes[i] == 'k')
			ask(run, ASKED_KILL);
	}
}

static void take_signals(struct run *run)
{
	unsigned char numbers[64];
	ssize_t got = read(run->signals, numbers, sizeof(numbers));
	for (ssize_t i = 0; i < got; i++) {
		if (numbers[i] == RUNNER_CANCEL_SIGNAL)
			ask(run, ASKED_CANCEL);
		else if (numbers[i] == RUNNER_KILL_SIGNAL)
			ask(run, ASKED_KILL);
		else if (numbers[i] != SIGCHLD)
			ask(run, ASKED_INTERRUPT);
	}
}

void run_attend(struct run *run, uint64_t ms)
{
	struct pollfd wait[] = {
		{.fd = run->signals, .events = POLLIN},
		{.fd = run->control, .events = POLLIN},
		{.fd = run->output, .events = POLLIN},
		{.fd = run->error, .events = POLLIN},
		{.fd = run->is_look && run->asked != ASKED_INTERRUPT ? run->report : -1,
			.events = 0},
	};
	if (poll(wait, sizeof(wait) / sizeof(wait[0]), ms > 60000 ? 60000 : (int)ms) <= 0)
		return;
	if (wait[0].revents)
		take_signals(run);
	if (wait[1].revents)
		take_control(run);
	if (wait[2].revents)
		take_output(run, &run->output, STREAM_STDOUT);
	if (wait[3].revents)
		take_output(run, &run->error, STREAM_STDERR);
	if (wait[4].revents) /* the supervisor is gone */
		ask(run, ASKED_INTERRUPT);
}

void run_drain(struct run *run)
{
	if (run->output >= 0)
		take_output(run, &run->output, STREAM_STDOUT);
	if (run->error >= 0)
		take_output(run, &run->error, STREAM_STDERR);
	/* The last line has no end of its own, perhaps. */
	take_lines(run, STREAM_STDOUT, "\n", 1);
	take_lines(run, STREAM_STDERR, "\n", 1);
}
