/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/cleaner.h"

static char *clean(const char *data, uint32_t size, uint32_t piece, bool keep_utf8)
{
	struct bytes to;
	struct cleaner cleaner;
	bytes_init(&to, 65536);
	cleaner_init(&cleaner, &to, keep_utf8);
	for (uint32_t at = 0; at < size; at += piece) {
		uint32_t left = size - at;
		cr_assert(cleaner_feed(&cleaner, STREAM_STDOUT,
			(struct text){data + at, left < piece ? left : piece}));
	}
	bytes_append(&to, "", 1);
	return (char *)to.data;
}

static const struct {
	const char *dirty;
	const char *clean;
} rows[] = {
	{"plain\n", "plain\n"},
	{"\x1b[31;1mred\x1b[0m\n", "red\n"},
	{"\x1b]0;title\x07shown", "shown"},
	{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
	{"\x1bPq#0;2;0;0;0\x1b\\after", "after"},
	{"\x1b(Bcharset\x1b=keys", "charsetkeys"},
	{"\x1b[?25lhidden\x1b[K", "hidden"},
	{"\xc2\x9b"
	 "31mred",
		"red"},
	/* Unfinished sequences must not swallow what follows. */
	{"\x1b]0;never ended\nnext", "\nnext"},
	{"\x1b[12\nnext", "\nnext"},
	{"\x1b[12\x1b[0mnext", "next"},
	{"\x1b", ""},
	{"a\tb", "a       b"},
	{"1234567\tb\n\tc", "1234567 b\n        c"},
	{"10%\r20%\r100%\ndone\r\nlast", "100%\ndone\nlast"},
	{"\r\r\nx", "\nx"},
	{"bell\x07 back\x08 del\x7f", "bell back del"},
	{"\xe2\x80\x98quoted\xe2\x80\x99 \xe2\x80\xa6 \xe2\x86\x92 \xc3\xbc", "'quoted' ... -> ?"},
	{"bad \xff\xfe \xc3( \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\xaf end", "bad ?? ?( ? ? ?? end"},
	{"cut \xe2\x80", "cut "},
};

Test(cleaner, leaves_plain_text)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = clean(rows[i].dirty, (uint32_t)strlen(rows[i].dirty), 4096, false);
		cr_assert(eq(str, got, (char *)(uintptr_t)rows[i].clean));
		free(got);
	}
}

Test(cleaner, cuts_anywhere_change_nothing)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t piece = 1; piece < 4; piece++) {
			char *got = clean(
				rows[i].dirty, (uint32_t)strlen(rows[i].dirty), piece, false);
			cr_assert(eq(str, got, (char *)(uintptr_t)rows[i].clean));
			free(got);
		}
	}
}

static bool is_plain(char byte)
{
	return byte == '\n' || (byte >= 32 && byte <= 126);
}

Test(cleaner, every_byte_becomes_plain)
{
	char all[512];
	for (int i = 0; i < 512; i++)
		all[i] = (char)(i * 7 + i / 256);
	char *got = clean(all, sizeof(all), sizeof(all), false);
	for (char *byte = got; *byte; byte++)
		cr_assert(eq(int, is_plain(*byte), 1));
	free(got);
}

Test(cleaner, streams_do_not_break_each_other)
{
	struct bytes to;
	struct cleaner cleaner;
	bytes_init(&to, 1024);
	cleaner_init(&cleaner, &to, false);
	cleaner_feed(&cleaner, STREAM_STDOUT, text_of("\x1b[3"));
	cleaner_feed(&cleaner, STREAM_STDERR, text_of("1 error\n"));
	cleaner_feed(&cleaner, STREAM_STDOUT, text_of("1mred\n"));
	bytes_append(&to, "", 1);
	cr_assert(eq(str, (char *)to.data, "1 error\nred\n"));
	bytes_finish(&to);
}

Test(cleaner, keeps_the_newest_where_there_is_no_room)
{
	struct bytes to;
	struct cleaner cleaner;
	bytes_init(&to, 100);
	cleaner_init(&cleaner, &to, false);
	for (int i = 0; i < 1000; i++)
		cr_assert(cleaner_feed(&cleaner, STREAM_STDOUT, text_of("line\n")));
	cr_assert(cleaner_feed(&cleaner, STREAM_STDOUT, text_of("the last\n")));
	cr_assert(le(u32, to.size, 100));
	cr_assert(eq(int, memcmp(to.data + to.size - 9, "the last\n", 9), 0));
	bytes_finish(&to);
}

Test(cleaner, lines_are_cut_at_characters)
{
	char line[64];
	cleaner_line(text_of("gr\xc3\xbc\xc3\x9f\x65\nzwei\n"), 4, true, line, sizeof(line));
	cr_assert(eq(str, line, "gr\xc3\xbc\xc3\x9f"));
	cleaner_line(text_of("eins\nzwei\n"), 40, true, line, sizeof(line));
	cr_assert(eq(str, line, "eins zwei"));
	/* Tabs grow more than anything else. */
	cleaner_line(text_of("\t\t\t\xc3\xbc\t\t\t\t\t\tend"), 30, true, line, sizeof(line));
	cr_assert(eq(str, line, "                        \xc3\xbc     "));
	cleaner_line(text_of(""), 40, true, line, sizeof(line));
	cr_assert(eq(str, line, ""));
}
