/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/base/limits.h"
#include "worker/probe.h"
#include "worker/transport.h"

/* ws and wss begin as http and https do. */
static void name_http(const char *url, char to[URL_BYTES_MAX + 8])
{
	if (strncmp(url, "ws", 2) == 0)
		snprintf(to, URL_BYTES_MAX + 8, "http%s", url + 2);
	else
		snprintf(to, URL_BYTES_MAX + 8, "%s", url);
}

static size_t on_header(char *data, size_t one, size_t size, void *user)
{
	char value[64];
	time_t *date = user;
	if (size > 5 && size < sizeof(value) && strncasecmp(data, "date:", 5) == 0) {
		snprintf(value, sizeof(value), "%.*s", (int)size - 5, data + 5);
		*date = curl_getdate(value, NULL);
	}
	return one * size;
}

static const char *explain(CURLcode code, const char *words)
{
	if (code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		return "the server's key is not the pinned one: NIXFLEET_PINNED_PUBKEY names "
		       "another";
	if (code == CURLE_SSL_CACERT_BADFILE)
		return "the CA file cannot be used: NIXFLEET_CA_FILE";
	return *words ? words : curl_easy_strerror(code);
}

int probe_tls(const char *url, char *ca_file, char *pinned_pubkey)
{
	struct host host = {.ca_file = ca_file, .pinned_pubkey = pinned_pubkey};
	struct transport transport;
	char error[CURL_ERROR_SIZE] = "", http[URL_BYTES_MAX + 8];
	time_t date = -1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	CURL *easy = curl_easy_init();
	transport_init(&transport, &host);
	if (!easy || !transport_set_up(&transport, easy)) {
		printf("the CA file or the pin cannot be used\n");
		return 1;
	}
	name_http(url, http);
	curl_easy_setopt(easy, CURLOPT_URL, http);
	curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)PROBE_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PROBE_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, &date);
	CURLcode code = curl_easy_perform(easy);
	if (code != CURLE_OK) {
		printf("%s\n", explain(code, error));
		return 1;
	}
	if (date >= 0)
		printf("date %" PRId64 "\n", (int64_t)date);
	return 0;
}
