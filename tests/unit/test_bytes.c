/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "proto/base/bytes.h"

Test(bytes, never_grows_beyond_its_maximum)
{
	struct bytes bytes;
	bytes_init(&bytes, 10);
	cr_assert(eq(int, bytes_append(&bytes, "12345678", 8), 0));
	cr_assert(eq(int, bytes_append(&bytes, "abc", 3), -1));
	cr_assert(eq(int, errno, EMSGSIZE));
	cr_assert(eq(u32, bytes.size, 8));
	cr_assert(eq(int, bytes_append(&bytes, "ab", 2), 0));
	cr_assert(eq(int, memcmp(bytes.data, "12345678ab", 10), 0));
	cr_assert(bytes.room <= 10);
	bytes_finish(&bytes);
}

Test(bytes, drops_at_the_front)
{
	struct bytes bytes;
	bytes_init(&bytes, 100);
	bytes_append_text(&bytes, "one two");
	bytes_drop(&bytes, 4);
	cr_assert(eq(u32, bytes.size, 3));
	cr_assert(eq(int, memcmp(bytes.data, "two", 3), 0));
	bytes_finish(&bytes);
}

Test(text, copy_says_when_it_does_not_fit_or_holds_a_nul)
{
	char to[4];
	cr_assert(text_copy(text_of("abc"), to, sizeof(to)));
	cr_assert(not(text_copy(text_of("abcd"), to, sizeof(to))));
	cr_assert(eq(str, to, "abc"));
	cr_assert(not(text_copy((struct text){"a\0b", 3}, to, sizeof(to))));
}
