/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "tests/sim/sim.h"

uint64_t truth_output(const struct sim *sim, const struct truth *truth)
{
	uint64_t until = truth->output_until < sim->now ? truth->output_until : sim->now;
	if (truth->output_gap == 0 || until < truth->output_from)
		return 0;
	return (until - truth->output_from) / truth->output_gap * truth->output_burst;
}

bool truth_is_known_told(const struct sim *sim, const struct truth *truth)
{
	return truth->is_marked && (truth->marked_incarnation == supervisor_incarnation(sim) ||
					   truth->marked_at < supervisor_started_at(sim));
}

struct file *disk_find(struct disk *disk, const char *name)
{
	for (uint32_t i = disk->count; i > 0; i--) {
		if (strcmp(disk->files[i - 1]->name, name) == 0)
			return disk->files[i - 1];
	}
	return NULL;
}

struct file *disk_make(struct sim *sim, const char *name)
{
	struct disk *disk = &sim->disk;
	struct file *file = disk_find(disk, name);
	if (!file) {
		sim_check(sim, disk->count < DISK_FILES_MAX, "the disk is full of records");
		file = disk->files[disk->count] ? disk->files[disk->count] : malloc(sizeof(*file));
		check(file != NULL);
		memset(file, 0, sizeof(*file));
		snprintf(file->name, sizeof(file->name), "%s", name);
		disk->files[disk->count++] = file;
	}
	file->is_there = true;
	return file;
}

void disk_remove(struct file *file)
{
	file->is_there = file->is_there_synced = false;
	file->dirty_from = file->dirty_to = 0;
	file->is_parsed = false;
	memset(file->data, 0, sizeof(file->data));
	memset(file->synced, 0, sizeof(file->synced));
}

const struct record *disk_read(struct file *file)
{
	if (!file->is_parsed)
		record_parse(&file->record, file->data, sizeof(file->data));
	file->is_parsed = true;
	return &file->record;
}

static void mark(struct file *file, uint32_t from, uint32_t to)
{
	bool is_clean = file->dirty_from == file->dirty_to;
	if (is_clean || from < file->dirty_from)
		file->dirty_from = from;
	if (is_clean || to > file->dirty_to)
		file->dirty_to = to;
}

void disk_rewrite(struct file *file, const struct record *record)
{
	mark(file, 0, record->bytes);
}

bool disk_append(struct file *file, struct record *record, const struct record_frame *frame)
{
	static struct bytes bytes = {.size_max = FRAME_BYTES_MAX + FRAME_HEAD_BYTES};
	bytes_clear(&bytes);
	if (record_encode(record, frame, &bytes) < 0 ||
		record->bytes + bytes.size > sizeof(file->data))
		return false;
	memcpy(file->data + record->bytes, bytes.data, bytes.size);
	file->is_parsed = false;
	mark(file, record->bytes, record->bytes + bytes.size);
	record->bytes += bytes.size;
	record_fold(record, frame);
	return true;
}

void disk_sync(struct file *file, bool is_good)
{
	if (is_good)
		memcpy(file->synced + file->dirty_from, file->data + file->dirty_from,
			file->dirty_to - file->dirty_from);
	file->dirty_from = file->dirty_to = 0;
}

void disk_sync_folder(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->count; i++)
		disk->files[i]->is_there_synced = disk->files[i]->is_there;
}

/* Bytes that were written and not synced are there up to a point; a record's last one is torn. */
static void tear(struct sim *sim, struct file *file)
{
	uint32_t first = 0, last = 0;
	if (memcmp(file->data, file->synced, sizeof(file->data)) == 0)
		return;
	for (uint32_t i = 0; i < sizeof(file->data); i++) {
		if (file->data[i] == file->synced[i])
			continue;
		first = last == 0 ? i : first;
		last = i + 1;
	}
	if (last == 0)
		return;
	file->is_parsed = false;
	uint32_t cut = first + (uint32_t)sim_random(sim, last - first + 1);
	memcpy(file->data + cut, file->synced + cut, sizeof(file->data) - cut);
	if (cut > first && sim_random(sim, 4) == 0)
		file->data[cut - 1] ^= (uint8_t)(1 + sim_random(sim, 255));
	memcpy(file->synced, file->data, sizeof(file->data));
}

void disk_power_cut(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->disk.count; i++) {
		struct file *file = sim->disk.files[i];
		file->lock = 0;
		if (!file->is_there_synced && file->is_there && sim_random(sim, 2) == 0) {
			disk_remove(file);
			continue;
		}
		file->is_there_synced = file->is_there;
		file->dirty_from = file->dirty_to = 0;
		tear(sim, file);
	}
}

void disk_note_losses(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->count; i++) {
		struct file *file = disk->files[i];
		bool is_held = file->lock != 0 && !file->truth.is_handed;
		if (file->truth.executions == 0 || is_held || file->truth.was_killed)
			continue;
		file->truth.was_killed = disk_read(file)->state != RECORD_FINISHED;
	}
}

void disk_finish(struct disk *disk)
{
	for (uint32_t i = 0; i < DISK_FILES_MAX; i++)
		free(disk->files[i]);
	*disk = (struct disk){0};
}
