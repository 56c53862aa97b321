/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/dashboard/request_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"

int request_log_open(struct request_log *log, const char *path)
{
	log->fd = -1;
	if (!path)
		return 0;
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return log->fd < 0 ? -1 : 0;
}

void request_log_close(struct request_log *log)
{
	fd_drop(&log->fd);
}

void request_log_write(struct request_log *log, const struct request_log_line *line)
{
	if (log->fd < 0)
		return;
	json_t *body = line->body ? json_deep_copy(line->body) : json_null();
	json_t *json = json_pack("{s:f s:s s:s s:s? s:s s:o s:i s:s? s:b s:s? s:I}", "ms",
		(double)line->now.ns / (double)NS_PER_MS, "method", line->method, "path",
		line->path, "host", line->host, "auth", line->auth, "body", body, "status",
		line->status, "command", line->command, "token_given", line->token_given, "fault",
		line->fault, "connection", (json_int_t)line->connection);
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(json);
	if (!text) {
		log_warn("a request could not be put into the log");
		return;
	}
	size_t size = strlen(text);
	text[size] = '\n'; /* the terminator's place; no string from here on */
	if (write(log->fd, text, size + 1) != (ssize_t)size + 1)
		log_warn("could not write to the request log: %s", strerror(errno));
	free(text);
}
