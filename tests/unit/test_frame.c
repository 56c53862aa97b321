/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "proto/base/crc32.h"
#include "proto/frame.h"

static const uint8_t payload[] = {0x93, 1, 2, 3};
static uint8_t good[FRAME_HEAD_BYTES + sizeof(payload)];

static void make(void)
{
	frame_head(good, payload, sizeof(payload));
	memcpy(good + FRAME_HEAD_BYTES, payload, sizeof(payload));
}

TestSuite(frame, .init = make);

Test(frame, the_checksum_is_the_well_known_one)
{
	cr_assert(eq(u32, crc32_update(0, "123456789", 9), 0xcbf43926));
	cr_assert(eq(u32, crc32_update(crc32_update(0, "1234", 4), "56789", 5), 0xcbf43926));
}

Test(frame, whole_ones_are_lent)
{
	struct frame frame;
	cr_assert(eq(int, (int)frame_parse(good, sizeof(good), &frame), FRAME_WHOLE));
	cr_assert(eq(u32, frame.bytes, sizeof(good)));
	cr_assert(eq(u32, frame.payload.size, sizeof(payload)));
	cr_assert(eq(ptr, (void *)(uintptr_t)frame.payload.data, good + FRAME_HEAD_BYTES));
}

Test(frame, every_cut_is_short)
{
	struct frame frame = {.bytes = 7};
	for (size_t size = 0; size < sizeof(good); size++)
		cr_assert(eq(int, (int)frame_parse(good, size, &frame), FRAME_SHORT));
	cr_assert(eq(u32, frame.bytes, 7));
}

Test(frame, every_changed_bit_is_seen)
{
	struct frame frame;
	for (size_t at = 4; at < sizeof(good); at++) {
		for (int bit = 0; bit < 8; bit++) {
			good[at] ^= (uint8_t)(1 << bit);
			cr_assert(eq(
				int, (int)frame_parse(good, sizeof(good), &frame), FRAME_DAMAGED));
			good[at] ^= (uint8_t)(1 << bit);
		}
	}
}

Test(frame, lengths_beyond_the_maximum_and_zeros_have_their_own_verdicts)
{
	struct frame frame;
	uint8_t big[FRAME_HEAD_BYTES] = {0xff, 0xff, 0xff, 0xff};
	uint8_t just_over[FRAME_HEAD_BYTES] = {0, 0, 0x40, 0x01};
	uint8_t zeros[FRAME_HEAD_BYTES] = {0};
	cr_assert(eq(int, (int)frame_parse(big, sizeof(big), &frame), FRAME_TOO_BIG));
	cr_assert(eq(int, (int)frame_parse(just_over, sizeof(just_over), &frame), FRAME_TOO_BIG));
	cr_assert(eq(int, (int)frame_parse(zeros, sizeof(zeros), &frame), FRAME_END));
}
