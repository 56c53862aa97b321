/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/base/url.h"

#include <stdio.h>
#include <string.h>

void url_without_account(const char *url, char *to, size_t room)
{
	const char *scheme = strstr(url, "://");
	const char *start = scheme ? scheme + 3 : url;
	const char *host = start + strcspn(start, "/?#");
	const char *at = NULL;
	for (const char *byte = start; byte < host; byte++)
		at = *byte == '@' ? byte : at;
	if (scheme && at)
		snprintf(to, room, "%.*s%s", (int)(start - url), url, at + 1);
	else
		snprintf(to, room, "%s", url);
}
