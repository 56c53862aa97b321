/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Assertions that stay on in release builds. They are for programmer errors only: an operating
 * error is returned, never checked. The condition is not bracketed, so that the compiler still
 * warns about check(e = 1).
 */
#pragma once

_Noreturn void check_failed(const char *condition, const char *file, int line);

#define check(cond)                                      \
	do {                                             \
		if (cond)                                \
			break;                           \
		check_failed(#cond, __FILE__, __LINE__); \
	} while (0)
