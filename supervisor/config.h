/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The configuration: environment, then a file of KEY=VALUE lines, then defaults. Read at start and
 * again on SIGHUP; a bad one never replaces a good one. Blocks on the disk.
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/base/log.h"
#include "proto/terms.h"
#include "supervisor/config_file.h"

#define CONFIG_DEFAULT_FILE    "/etc/nixfleet-agent/agent.conf"
#define CONFIG_FILE_BYTES_MAX  65536
#define CONFIG_ERROR_BYTES     (REASON_BYTES_MAX + 1)
#define CONFIG_INTERVAL_MS_MAX 3600000
/* The file, and what else there is: a path for most settings, and some are longer. */
#define CONFIG_PACKED_BYTES_MAX (2 * CONFIG_FILE_BYTES_MAX)

struct config {
#define SETTING(field, variable, check, bytes_max, fallback, legal) char *field;
#include "supervisor/settings.def"
#undef SETTING
	/* What follows from them. */
	enum protocol protocol;
	enum log_level level;
	uint64_t interval_ms;
	uint64_t spread_ms;
	bool is_isolated; /* the agent owns the repository's clone */
	char *user;       /* the number of one that is not known */
	char *home; /* of the password database, not $HOME: an account has one lock; may be empty */
	char *file; /* the file that was read, or empty */
	struct config_file lines; /* what stands in it, for what is asked for later */
};

/* What a lookup of the environment gives; getenv, but for tests. */
typedef const char *config_lookup(const char *variable, void *data);

struct config_from {
	const char *path; /* NULL: CONFIG_DEFAULT_FILE if it exists */
	config_lookup *lookup;
	void *data;
	/* Whose account it takes over, for it stays the same for as long as the process lives;
	 * NULL: the name service is asked. */
	const struct config *before;
};

/* Fills *config. 0, or -1 with one line in error that names the variable, the value and what is
 * legal; *config then needs no config_finish. */
int config_load(
	struct config *config, const struct config_from *from, char error[CONFIG_ERROR_BYTES]);
void config_finish(struct config *config);

/* For another process of this program, which reads nothing: *config as it was packed. */
void config_pack(const struct config *config, struct bytes *to);
void config_unpack(struct config *config, struct text packed);

/* Every setting that is not empty as VARIABLE=value, without the token itself. */
void config_list(const struct config *config, struct bytes *to);

/* NIXFLEET_TIMEOUT_<OP> (name in capitals, - as _) in milliseconds, of the environment or else the
 * file, or fallback_ms. Seconds from 0.1 to 86400 are legal, anything else is warned about and
 * ignored. */
uint64_t config_timeout_ms(
	const struct config *config, const char *operation, uint64_t fallback_ms);

/* getenv with the signature of config_lookup. */
const char *config_environment(const char *variable, void *data);

/* Whether a folder of this process's PATH has that program, for this account to execute. */
bool config_is_in_path(const char *program);
