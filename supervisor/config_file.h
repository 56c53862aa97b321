/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A file of KEY=VALUE lines in the syntax of systemd's EnvironmentFile. Pure: works on text. */
#pragma once

#include "proto/base/bytes.h"

#define CONFIG_FILE_KEYS_MAX 128

struct config_file {
	struct bytes text; /* NUL-terminated keys and values, in pairs */
	uint32_t key_count;
};

void config_file_init(struct config_file *file, uint32_t size_max);
void config_file_finish(struct config_file *file);
/* Parses content. 0, or the number of the first line that is wrong. */
uint32_t config_file_parse(struct config_file *file, struct text content);
/* From the text of another one. */
void config_file_restore(struct config_file *file, struct text parsed);
/* The last value given for key, or NULL. Lent until config_file_finish. */
const char *config_file_get(const struct config_file *file, const char *key);
