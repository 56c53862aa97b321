/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "proto/base/check.h"
#include "supervisor/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_file file;
	config_file_init(&file, 4096);
	if (config_file_parse(&file, (struct text){(const char *)data, (uint32_t)size}) == 0) {
		const char *value = config_file_get(&file, "A");
		check(!value || strlen(value) < 4096);
	}
	config_file_finish(&file);
	return 0;
}
