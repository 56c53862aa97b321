/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "supervisor/config_file.h"

static const struct {
	const char *content;
	const char *key;
	const char *value; /* NULL: the key is not there */
	uint32_t bad_line;
} cases[] = {
	{"A=1\n", "A", "1", 0},
	{"A=1", "A", "1", 0},
	{"# A=1\n; A=2\n\nB=3\n", "A", NULL, 0},
	{"A=1\nA=2\n", "A", "2", 0},
	{"A=\n", "A", "", 0},
	{"A=a b  \n", "A", "a b", 0},
	{"A= x\r\n", "A", "x", 0},
	{"A=\"a b \"\n", "A", "a b ", 0},
	{"A=\"a\\\"b\"\n", "A", "a\"b", 0},
	{"A='a\\b'\n", "A", "a\\b", 0},
	{"A=a\\\nb\n", "A", "ab", 0},
	{"A='two\nlines'\nB=1\n", "B", "1", 0},
	{"A=\"'\"\n", "A", "'", 0},
	{"A=\"a\\b\"\n", "A", "a\\b", 0},
	{"A=\"a\\$\\`\\\\\"\n", "A", "a$`\\", 0},
	{"A=\"two\\\nlines\"\n", "A", "twolines", 0},
	{"A=a\"b\"c\n", "A", "a\"b\"c", 0},
	{"A=a'b c'\n", "A", "a'b c'", 0},
	{"A=it's\nB=1\n", "B", "1", 0},
	{"A=\"x\" \"y\"\n", "A", "xy", 0},
	{"A= \"x\" y \n", "A", "xy", 0},
	{"A=a\\ b\\ \n", "A", "a b ", 0},
	{"no equals sign\n", "A", NULL, 1},
	{"A=1\n=2\n", "A", NULL, 2},
	{"A=1\nB='open\n", "A", NULL, 2},
};

Test(config_file, reads_what_systemd_reads)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_file file;
		config_file_init(&file, 1000);
		cr_expect(eq(u32, config_file_parse(&file, text_of(cases[i].content)),
				  cases[i].bad_line),
			"%s", cases[i].content);
		const char *value = cases[i].bad_line ? NULL : config_file_get(&file, cases[i].key);
		bool is_same = value && cases[i].value ? strcmp(value, cases[i].value) == 0
						       : value == cases[i].value;
		cr_expect(is_same, "%s gives %s", cases[i].content, value ? value : "nothing");
		config_file_finish(&file);
	}
}

Test(config_file, is_bounded)
{
	struct config_file file;
	config_file_init(&file, 8);
	cr_assert(eq(u32, config_file_parse(&file, text_of("A=123456789\n")), 1));
	config_file_finish(&file);
}

Test(config_file, a_nul_is_no_text)
{
	struct config_file file;
	config_file_init(&file, 100);
	cr_assert(eq(u32, config_file_parse(&file, (struct text){"A=\0\n", 4}), 1));
	config_file_finish(&file);
}
