/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "proto/base/limits.h"
#include "proto/scan.h"

static const struct {
	const char *name;
	const char *bytes;
	uint32_t size;
	bool is_good;
} cases[] = {
	{"nothing", "", 0, false},
	{"nil", "\xc0", 1, true},
	{"two values", "\xc0\xc0", 2, false},
	{"never used", "\xc1", 1, false},
	{"empty array", "\x90", 1, true},
	{"array of two", "\x92\x01\x02", 3, true},
	{"array that lacks one", "\x92\x01", 2, false},
	{"array with one too many", "\x91\x01\x02", 3, false},
	{"map of one", "\x81\x01\x02", 3, true},
	{"map that lacks a value", "\x81\x01", 2, false},
	{"string",
		"\xa3"
		"abc",
		4, true},
	{"string that is cut",
		"\xa3"
		"ab",
		3, false},
	{"bin 8",
		"\xc4\x02"
		"ab",
		4, true},
	{"bin 32 of 4 GiB",
		"\xc6\xff\xff\xff\xff"
		"ab",
		7, false},
	{"array 32 of 4 Gi values", "\xdd\xff\xff\xff\xff", 5, false},
	{"map 32 whose count times two overflows 32 bits", "\xdf\x80\x00\x00\x00", 5, false},
	{"length that is cut", "\xdd\xff", 2, false},
	{"float 64", "\xcb\0\0\0\0\0\0\0\0", 9, true},
	{"uint 64 that is cut", "\xcf\0\0\0\0\0\0\0", 8, false},
	{"extension", "\xd4\x01\x01", 3, false},
	{"negative fixint", "\xff", 1, true},
};

Test(scan, knows_good_from_bad)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(int, scan_is_one_value((struct text){cases[i].bytes, cases[i].size}),
				  cases[i].is_good),
			"%s", cases[i].name);
}

Test(scan, depth_is_bounded)
{
	char deep[100000];
	memset(deep, '\x91', sizeof(deep));
	deep[sizeof(deep) - 1] = '\x01';
	cr_assert(not(scan_is_one_value((struct text){deep, sizeof(deep)})));
	deep[FRAME_DEPTH_MAX] = '\x01';
	cr_assert(scan_is_one_value((struct text){deep, FRAME_DEPTH_MAX + 1}));
	deep[FRAME_DEPTH_MAX] = '\x91';
	deep[FRAME_DEPTH_MAX + 1] = '\x01';
	cr_assert(not(scan_is_one_value((struct text){deep, FRAME_DEPTH_MAX + 2})));
}
