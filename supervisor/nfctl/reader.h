/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Files of a disk that may hang: a child reads them, and is left behind when it does not answer.
 * The child calls reader_give() for each file; the parent takes them with reader_next().
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/time.h"

#define READER_NAME_BYTES_MAX 200
#define READER_FILE_BYTES_MAX (4 * 1024 * 1024)

struct reader {
	pid_t pid;
	int fd;
};

enum reader_verdict {
	READER_FILE, /* one more */
	READER_END,
	READER_STUCK, /* it did not go on in time, or died */
};

/* Starts the child; work gives what there is. -1 with errno. */
int reader_open(struct reader *reader, void (*work)(int out, void *data), void *data);
/* In the child: the end of a file, READER_FILE_BYTES_MAX at most; one that cannot be opened is left
 * out. flags: more of open's. */
void reader_give(int out, const char *name, const char *path, int flags);
/* The next one: its name, and its content appended to bytes. */
enum reader_verdict reader_next(struct reader *reader, struct mono until,
	char name[READER_NAME_BYTES_MAX + 1], struct bytes *bytes);
void reader_close(struct reader *reader);
/* Ends a child and waits for it, for a moment: what a disk holds ends when the disk lets it. */
void reader_let_go(pid_t pid);
