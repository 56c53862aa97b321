/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "proto/base/limits.h"

#define ADDRESS_BYTES 64

struct probe {
	char host[URL_BYTES_MAX];
	char port[16];
	char url[URL_BYTES_MAX + 32];
	const char *proxy;           /* NULL: none is configured */
	char address[ADDRESS_BYTES]; /* the last one that was tried */
};

/* Plain TCP, whatever the scheme: the URL becomes one that libcurl connects to without TLS. */
static bool parse(struct probe *probe, const char *url, bool *is_secure)
{
	char *host = NULL;
	char *port = NULL;
	char *scheme = NULL;
	CURLU *parts = curl_url();
	bool done = parts &&
		    curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) ==
			    CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;
	if (done) {
		*is_secure = strcmp(scheme, "https") == 0 || strcmp(scheme, "wss") == 0;
		curl_url_get(parts, CURLUPART_PORT, &port, 0);
		snprintf(probe->host, sizeof(probe->host), "%s", host);
		snprintf(probe->port, sizeof(probe->port), "%s",
			port         ? port
			: *is_secure ? "443"
				     : "80");
		snprintf(probe->url, sizeof(probe->url), "http://%s:%s/", probe->host, probe->port);
	}
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	curl_url_cleanup(parts);
	return done;
}

/* The variables as libcurl reads them; http_proxy in capitals could come from a request. */
static const char *find_proxy(bool is_secure)
{
	static const char *const secure[] = {
		"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", "ALL_PROXY"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		const char *value = getenv(is_secure ? secure[i] : plain[i]);
		if (value && *value)
			return value;
	}
	return NULL;
}

static void note_address(struct probe *probe, const struct curl_sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	uint16_t port = 0;
	if (address->family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, &address->addr, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
		port = ntohs(in.sin_port);
		snprintf(probe->address, sizeof(probe->address), "%s:%u", text, port);
	} else if (address->family == AF_INET6 && address->addrlen >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in;
		memcpy(&in, &address->addr, sizeof(in));
		inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof(text));
		port = ntohs(in.sin6_port);
		snprintf(probe->address, sizeof(probe->address), "[%s]:%u", text, port);
	}
}

static curl_socket_t on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	note_address(data, address);
	return socket(address->family, address->socktype, address->protocol);
}

static void explain_connect(const struct probe *probe, long error)
{
	const char *address = probe->address[0] ? probe->address : probe->host;
	switch (error) {
	case ECONNREFUSED: printf("connection refused by %s\n", address); return;
	case ENETUNREACH:
	case EHOSTUNREACH: printf("no route to %s\n", address); return;
	case ETIMEDOUT: printf("no answer from %s\n", address); return;
	case 0: printf("cannot connect to %s\n", address); return;
	}
	printf("cannot connect to %s: %s\n", address, strerror((int)error));
}

static void explain(const struct probe *probe, CURL *easy, CURLcode code, const char *words)
{
	long error = 0;
	curl_off_t found_us = 0;
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
	curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &found_us);
	if (code == CURLE_COULDNT_RESOLVE_HOST)
		printf("cannot resolve %s\n", probe->host);
	else if (code == CURLE_COULDNT_RESOLVE_PROXY)
		printf("cannot resolve the proxy %s\n", words);
	else if (code == CURLE_OPERATION_TIMEDOUT && found_us == 0)
		printf("cannot resolve %s: the name servers are silent\n", probe->host);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		printf("no answer from %s\n", probe->address[0] ? probe->address : probe->host);
	else if (code == CURLE_COULDNT_CONNECT)
		explain_connect(probe, error);
	else
		printf("%s\n", words[0] ? words : curl_easy_strerror(code));
}

static CURLcode connect_to(struct probe *probe, CURL *easy, char *error)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_URL, probe->url);
	curl_easy_setopt(easy, CURLOPT_PROXY, probe->proxy ? probe->proxy : "");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)PROBE_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PROBE_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, probe);
	return curl_easy_perform(easy);
}

int probe_url(const char *url)
{
	struct probe probe = {.address = ""};
	char error[CURL_ERROR_SIZE] = "";
	bool is_secure = false;
	/* No TLS is spoken, so none is set up: this runs every two seconds while a host boots. */
	curl_global_init(CURL_GLOBAL_NOTHING);
	if (!parse(&probe, url, &is_secure)) {
		printf("'%s' is no URL\n", url);
		return 1;
	}
	probe.proxy = find_proxy(is_secure);
	CURL *easy = curl_easy_init();
	if (!easy) {
		printf("out of memory\n");
		return 1;
	}
	CURLcode code = connect_to(&probe, easy, error);
	if (code == CURLE_OK)
		return 0;
	explain(&probe, easy, code, error);
	return 1;
}
