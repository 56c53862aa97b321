/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/channel.h"
#include "proto/message.h"

static struct channel a, b;

static void make(void)
{
	int ends[2];
	cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0));
	channel_init(&a, ends[0]);
	channel_init(&b, ends[1]);
}

static void finish(void)
{
	channel_finish(&a);
	channel_finish(&b);
}

TestSuite(channel, .init = make, .fini = finish);

static void say(struct channel *channel, uint64_t sequence)
{
	struct message ping = {.type = MESSAGE_PING, .ping = {.sequence = sequence}};
	cr_assert(eq(int, message_encode(&ping, channel_out(channel)), 0));
}

Test(channel, frames_arrive_in_order_however_they_are_cut)
{
	struct text payload;
	struct message got;
	uint64_t expected[] = {1, 300};
	uint32_t count = 0;
	say(&a, 1);
	say(&a, 300);
	struct bytes *out = channel_out(&a);
	for (uint32_t at = 0; at < out->size; at++) {
		cr_assert(eq(i64, write(a.fd, out->data + at, 1), 1));
		cr_assert(channel_receive(&b));
		while (channel_next(&b, &payload)) {
			cr_assert(eq(int, (int)message_decode(payload, &got), SCHEMA_GOOD));
			cr_assert(lt(u32, count, 2));
			cr_assert(eq(u64, got.ping.sequence, expected[count++]));
		}
	}
	bytes_clear(out);
	cr_assert(eq(u32, count, 2));
}

Test(channel, a_queue_that_is_full_says_so_and_keeps_what_it_has)
{
	struct message message = {.type = MESSAGE_PING, .ping = {.sequence = 9}};
	int count = 0;
	while (message_encode(&message, channel_out(&a)) == 0)
		count++;
	cr_assert(eq(int, errno, EMSGSIZE));
	cr_assert(channel_out(&a)->size <= CHANNEL_QUEUE_BYTES_MAX);
	int got = 0;
	struct text payload;
	for (int i = 0; i < 100000 && got < count; i++) {
		cr_assert(channel_flush(&a));
		channel_receive(&b);
		while (channel_next(&b, &payload))
			got++;
	}
	cr_assert(eq(int, got, count));
}

Test(channel, garbage_is_a_violation_and_costs_no_memory)
{
	char garbage[4096];
	struct text payload;
	memset(garbage, 0xff, sizeof(garbage));
	cr_assert(eq(i64, write(a.fd, garbage, sizeof(garbage)), (ssize_t)sizeof(garbage)));
	channel_receive(&b);
	cr_assert(not(channel_next(&b, &payload)));
	cr_assert(eq(int, (int)b.state, CHANNEL_VIOLATED));
	cr_assert(not(channel_receive(&b)));
	cr_assert(b.in.room <= 2 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES));
}

Test(channel, what_was_said_before_the_end_is_heard)
{
	struct text payload;
	say(&a, 5);
	channel_flush(&a);
	fd_drop(&a.fd);
	cr_assert(channel_receive(&b));
	cr_assert(channel_next(&b, &payload));
	cr_assert(not(channel_receive(&b)));
	cr_assert(eq(int, (int)b.state, CHANNEL_ENDED));
}
