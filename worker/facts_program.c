/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The running program's hash and its place in the Nix store. */
#include <fcntl.h>
#include <string.h>

#include "proto/base/fd.h"
#include "worker/facts.h"
#include "worker/platform.h"

#define STORE "/nix/store/"

void facts_program(struct facts_program *program)
{
	char path[PATH_BYTES_MAX + 1];
	*program = (struct facts_program){0};
	if (platform_program_path(path, sizeof(path)) < 0)
		return;
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || facts_hash(fd, program->hash) < 0)
		program->hash[0] = '\0';
	if (strncmp(path, STORE, strlen(STORE)) == 0) {
		path[strlen(STORE) + strcspn(path + strlen(STORE), "/")] = '\0';
		text_copy(text_of(path), program->store_path, sizeof(program->store_path));
	}
}
