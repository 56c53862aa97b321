/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/limits.h"

static struct {
	const char *name;
	enum log_level level;
	bool journal;
	unsigned lost; /* lines, since the last that was written */
} output = {.name = "nixfleet", .level = LOG_LEVEL_INFO};

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{"error", LOG_LEVEL_ERROR},
	{"warn", LOG_LEVEL_WARN},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
};

void log_open(const char *name)
{
	const char *journal = getenv("JOURNAL_STREAM");
	output.name = name;
	output.journal = journal && *journal;
}

void log_set_level(enum log_level level)
{
	output.level = level;
}

bool log_level_parse(const char *text, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].name, text) == 0) {
			*level = levels[i].level;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (levels[i].level == level)
			return levels[i].name;
	}
	return "?";
}

/* Copies text with control bytes as \xNN, so that nothing from outside can forge a line. */
static size_t escape(const char *text, char *to, size_t room)
{
	size_t size = 0;
	for (; *text && size + 5 < room; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte < 0x20 || byte == 0x7f)
			size += (size_t)snprintf(to + size, room - size, "\\x%02x", byte);
		else
			to[size++] = *text;
	}
	return size;
}

/* The descriptor is shared with others, so it stays as it is and is asked first: a pipe or a socket
 * that can be written to takes a whole line. */
static bool has_room(void)
{
	struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&log, 1, 0) > 0;
}

/* A full or closed log, or one whose reader hangs, must never stop the agent: one try, the result
 * ignored. What was left out is counted. */
static void put(const char *line, size_t size)
{
	char text[128];
	if (!has_room()) {
		output.lost++;
		return;
	}
	if (output.lost > 0) {
		int head = snprintf(text, sizeof(text),
			output.journal ? "<4>%s: %u lines were lost: the log took none\n"
				       : "%s: warn: %u lines were lost: the log took none\n",
			output.name, output.lost);
		output.lost = 0;
		(void)!write(STDERR_FILENO, text, (size_t)head);
		if (!has_room()) {
			output.lost = 1;
			return;
		}
	}
	(void)!write(STDERR_FILENO, line, size);
}

__attribute__((format(printf, 2, 0))) static void log_line(
	enum log_level level, const char *format, va_list args)
{
	if (level > output.level)
		return;
	int kept = errno;
	char text[LOG_LINE_BYTES_MAX];
	char line[LOG_LINE_BYTES_MAX * 2];
	vsnprintf(text, sizeof(text), format, args);
	int head = output.journal
			   ? snprintf(line, sizeof(line), "<%d>%s: ", (int)level, output.name)
			   : snprintf(line, sizeof(line), "%s: %s: ", output.name,
				     log_level_name(level));
	size_t size = head < 0 ? 0 : (size_t)head;
	size += escape(text, line + size, sizeof(line) - size - 1);
	line[size++] = '\n';
	put(line, size);
	errno = kept;
}

#define LOG_FUNCTION(function, level)          \
	void function(const char *format, ...) \
	{                                      \
		va_list args;                  \
		va_start(args, format);        \
		log_line(level, format, args); \
		va_end(args);                  \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
