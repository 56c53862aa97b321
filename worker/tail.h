/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The end of a run's output as plain text. However long the output is, only the end of its file is
 * read: whole frames are found there by their checksums.
 */
#pragma once

#include "proto/base/bytes.h"

/* Appends at most chars_max characters (\n and ASCII 32 to 126), the newest ones, from the output
 * file open at fd. 0, or -1 with errno. */
int tail_read(int fd, uint32_t chars_max, struct bytes *to);

/* Where the first whole frame begins at or after offset, within 64 KiB; offset where there is none.
 */
uint64_t tail_find(int fd, uint64_t offset);
