/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int host_init(struct host *host, const struct message_hello *hello)
{
	bool is_whole = true;
	*host = (struct host){.protocol = hello->protocol, .interval_ms = hello->interval_ms};
#define X(field)                                                     \
	host->field = strndup(hello->field.data, hello->field.size); \
	is_whole = is_whole && host->field;
	HOST_TEXTS(X)
#undef X
	if (is_whole)
		return 0;
	host_finish(host);
	errno = ENOMEM;
	return -1;
}

void host_finish(struct host *host)
{
#define X(field)           \
	free(host->field); \
	host->field = NULL;
	HOST_TEXTS(X)
#undef X
}
