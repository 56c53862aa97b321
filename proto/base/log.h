/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Log lines to standard error: one line per decision, control bytes escaped, errno kept. Under
 * systemd (JOURNAL_STREAM is set) a line carries its level as <N>; elsewhere its level as a word.
 */
#pragma once

#include <stdbool.h>

/* The values are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* The name stands before each line, e.g. "nixfleet-agent"; it is kept, not copied. */
void log_open(const char *name);
void log_set_level(enum log_level level);
/* debug, info, warn or error; false leaves *level alone. */
bool log_level_parse(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
