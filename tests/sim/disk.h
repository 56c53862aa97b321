/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The records' folder in memory, in two states: what a process sees, and what a power cut leaves.
 * A file that was made, and bytes that were written, are only certain after their fsync; what was
 * not synced is there, gone or torn afterwards. With each file goes what is true of its run,
 * whatever the records say.
 */
#pragma once

#include "proto/record.h"

#define DISK_FILES_MAX  256
#define DISK_FILE_BYTES 8192

struct sim;

/* What really happened, as nobody but the simulation knows. */
struct truth {
	uint64_t ticket; /* of the dashboard's command; 0: local */
	uint32_t executions;
	bool is_accepted; /* durably, and told so */
	bool is_refused;
	bool has_result; /* the runner knew it */
	bool is_handed;  /* only the supervisor has the result: the disk did not take it */
	bool was_killed; /* its runner, or the machine, while it ran */
	bool was_cancelled;
	uint64_t outcome;
	int64_t code;
	bool is_poison;   /* reading its output kills a worker */
	bool is_withheld; /* workers died over it, rightly or not: it is told without its output */
	uint32_t deliveries;
	uint32_t excuses; /* for one more delivery: an answer or a mark that was lost */
	uint64_t told_outcome;
	int64_t told_code;
	bool is_undeliverable;
	bool is_marked; /* the record says so durably */
	uint64_t marked_incarnation, marked_at;
	uint64_t ended_at; /* world time; 0: not yet */
	bool is_named; /* a reboot that comes too late: the status says that it did not happen */
	/* The output: so many bytes come at once, again and again, from then until then. */
	uint64_t output_from, output_until, output_gap, output_burst;
	/* Over a WebSocket. */
	uint64_t output_told; /* the dashboard has it, or was told that it does not get it */
	uint64_t status_wire; /* its status was read there */
	uint64_t sent_life, sent_wire; /* the worker and the connection that said it last */
	uint64_t proof;                /* the ping behind it; 0: none yet */
	bool is_proven;                /* the pong came to that worker */
	uint32_t sends;                /* of the status */
	bool may_end;                  /* somebody wanted it to be ended */
	uint64_t killed_at, killed_life, killed_freezes; /* and it must be; 0: not */
};

struct file {
	bool is_there, is_there_synced;
	char name[RUN_NAME_BYTES_MAX + 1];
	uint32_t lock; /* the process that holds it; 0: nobody */
	uint8_t data[DISK_FILE_BYTES];
	uint8_t synced[DISK_FILE_BYTES];
	uint32_t dirty_from, dirty_to; /* written since the last fsync, whatever that said */
	struct truth truth;
	bool is_parsed; /* what data says is in record */
	struct record record;
};

struct disk {
	struct file *files[DISK_FILES_MAX]; /* owned; a place stays its file's; those beyond count
					     * are of the run before, to be used again */
	uint32_t count;
};

/* How many bytes of output there are now. */
uint64_t truth_output(const struct sim *sim, const struct truth *truth);
/* The record says that it was delivered, and the supervisor cannot but know. */
bool truth_is_known_told(const struct sim *sim, const struct truth *truth);
struct file *disk_find(struct disk *disk, const char *name);
struct file *disk_make(struct sim *sim, const char *name);
void disk_remove(struct file *file);
/* What the bytes say now; lent until they change. */
const struct record *disk_read(struct file *file);
/* Appends as record_append() does. False: no room. */
bool disk_append(struct file *file, struct record *record, const struct record_frame *frame);
/* Writes the same bytes again, so that the next fsync has them to write. */
void disk_rewrite(struct file *file, const struct record *record);
/* An fsync; after a bad one the kernel calls its bytes clean, and they are on no disk. */
void disk_sync(struct file *file, bool is_good);
void disk_sync_folder(struct disk *disk);
void disk_power_cut(struct sim *sim);
/* Who alone knew how a run ended is gone: of it no more than that can be told. */
void disk_note_losses(struct disk *disk);
void disk_finish(struct disk *disk);
