/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The folder of the run records. Blocks on the disk: store children and nobody else. */
#pragma once

#include "proto/record.h"

#define RECORD_FOLDER_MAX 4096

struct record_entry {
	char name[RUN_NAME_BYTES_MAX + 1];
	struct record record;
	bool is_live; /* a runner holds it */
	bool is_last; /* of those of its command that ended: for who marks it */
	uint64_t output_bytes;
};

struct record_list {
	struct record_entry *entries; /* by sequence, oldest first; owned */
	uint32_t count;
	bool is_unsettled; /* one is being made: it is held, and nothing stands in it yet */
	bool is_cut;       /* there are more: the oldest finished ones were left out */
};

/* Opens NAME.run without following links. The descriptor, or -1 with errno. */
int record_folder_open(int folder, const char *name, int flags);
/* Removes NAME and suffix; what is not there is fine. */
void record_folder_remove(int folder, const char *name, const char *suffix);
/* Reads all records; over RECORD_FOLDER_MAX the oldest finished ones are left out. One that nothing
 * good stands in is set aside by another name (.aside) and logged; the rest is used. 0, or -1 with
 * errno. */
int record_folder_list(int folder, struct record_list *list);
void record_folder_finish(struct record_list *list);
