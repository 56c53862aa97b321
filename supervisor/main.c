/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "supervisor/config_check.h"
#include "supervisor/folder.h"
#include "supervisor/options.h"
#include "supervisor/shell.h"

enum exit_code {
	EXIT_CLEAN = 0,
	EXIT_USAGE = 64,
	EXIT_CONFIGURATION = 78,
	EXIT_HELD = 100,
	EXIT_REFUSED = 111,
};

/* Descriptors 0 to 2 must be taken, or a socket of ours would become somebody's standard output. */
static void fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static enum exit_code run(struct shell *shell, struct lock *lock)
{
	char error[CONFIG_ERROR_BYTES];
	const struct config *config = &shell->config;
	if (!*config->home) {
		log_error("the home of user %s is not known, and its lock is below it: does the "
			  "name service answer?",
			config->user);
		return EXIT_REFUSED;
	}
	int state = folder_open(config->state_dir, 0700, error);
	if (state < 0) {
		log_error("%s", error);
		return EXIT_REFUSED;
	}
	switch (lock_take(lock, state, config->host, config->home, error)) {
	case LOCK_TAKEN: break;
	case LOCK_HELD: log_error("%s", error); return EXIT_HELD;
	case LOCK_FAILED: log_error("%s", error); return EXIT_REFUSED;
	}
	own_fd runtime = folder_open(config->runtime_dir, 0755, error);
	int code = -1;
	if (runtime < 0)
		log_error("%s", error);
	else
		code = shell_run(shell);
	lock_release(lock);
	return code < 0 ? EXIT_REFUSED : (enum exit_code)code;
}

int main(int argc, char **argv)
{
	char error[CONFIG_ERROR_BYTES];
	struct options options = options_parse(argc, argv);
	struct config_from from = {.path = options.config_path, .lookup = config_environment};
	if (options.action == OPTIONS_WRONG)
		return EXIT_USAGE;
	if (options.action == OPTIONS_HELP) {
		options_print_help();
		return EXIT_CLEAN;
	}
	if (options.action == OPTIONS_VERSION) {
		puts("nixfleet-agent " NIXFLEET_VERSION);
		return EXIT_CLEAN;
	}
	fill_standard_descriptors();
	log_open("nixfleet-agent");
	umask(022);
	struct shell *shell = calloc(1, sizeof(*shell));
	struct lock lock = {.folder = -1, .file = -1};
	if (!shell) {
		log_error("calloc: %s", strerror(errno));
		return EXIT_REFUSED;
	}
	shell->config_path = options.config_path;
	shell->lock = &lock;
	if (config_load(&shell->config, &from, error) < 0) {
		log_error("%s", error);
		notify_open(&shell->notify);
		notify_send(&shell->notify, "STATUS=%s", error);
		notify_close(&shell->notify);
		free(shell);
		return EXIT_CONFIGURATION;
	}
	log_set_level(shell->config.level);
	int code = options.action == OPTIONS_CHECK ? config_check(&shell->config)
						   : (int)run(shell, &lock);
	config_finish(&shell->config);
	free(shell);
	return code;
}
