/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/transport.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder is looked at this far for a hashed name. */
#define FOLDER_ENTRIES_MAX 4096

/* `002c0b4f.0`: the name by which the TLS library finds one certificate among many. */
static bool is_hashed_name(const char *name)
{
	size_t digits = strspn(name, "0123456789abcdef");
	return digits == 8 && name[8] == '.' && name[9] >= '0' && name[9] <= '9';
}

static bool is_hashed_folder(const char *path)
{
	DIR *folder = opendir(path);
	bool found = false;
	if (!folder)
		return false;
	struct dirent *entry = readdir(folder);
	for (int i = 0; i < FOLDER_ENTRIES_MAX && entry && !found; i++) {
		found = is_hashed_name(entry->d_name);
		entry = readdir(folder);
	}
	closedir(folder);
	return found;
}

static const char *first_set(const char *a, const char *b)
{
	const char *value = getenv(a);
	if (!value || !*value)
		value = getenv(b);
	return value && *value ? value : NULL;
}

static const char *first_hashed(void)
{
	static const char *const folders[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (is_hashed_folder(folders[i]))
			return folders[i];
	}
	return NULL;
}

/* Distributions keep the same certificates as a bundle and, beside it, as a hashed folder. Reading
 * the bundle costs most of a megabyte. */
static bool stands_in_folder(const char *file, const char *folder)
{
	size_t size = strlen(folder);
	return strncmp(file, folder, size) == 0 && strcmp(file + size, "/ca-certificates.crt") == 0;
}

/* For a libcurl that was built without a place, or for another distribution. */
static const char *first_bundle(void)
{
	static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
	for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
		if (access(bundles[i], R_OK) == 0)
			return bundles[i];
	}
	return NULL;
}

void transport_init(struct transport *transport, const struct host *host)
{
	*transport = (struct transport){.host = host};
	if (host->ca_file[0]) {
		transport->ca_file = host->ca_file;
		return;
	}
	const char *system = first_hashed();
	const char *folder = getenv("SSL_CERT_DIR");
	transport->ca_file = first_set("SSL_CERT_FILE", "NIX_SSL_CERT_FILE");
	if (folder && is_hashed_folder(folder))
		transport->ca_folder = folder;
	if (transport->ca_file && system && stands_in_folder(transport->ca_file, system)) {
		transport->ca_file = NULL;
		if (!transport->ca_folder)
			transport->ca_folder = system;
	}
	if (transport->ca_file || transport->ca_folder)
		return;
	transport->ca_folder = system;
	if (!system)
		transport->ca_file = first_bundle();
}

static CURLcode set_trust(const struct transport *transport, CURL *easy)
{
	const char *pin = transport->host->pinned_pubkey;
	CURLcode code = CURLE_OK;
	/* libcurl's built-in bundle would be read besides the folder. */
	if (transport->ca_folder || transport->ca_file) {
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, transport->ca_file);
		if (code == CURLE_OK)
			code = curl_easy_setopt(easy, CURLOPT_CAPATH, transport->ca_folder);
	}
	if (code == CURLE_OK && *pin)
		code = curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pin);
	return code;
}

bool transport_set_up(const struct transport *transport, CURL *easy)
{
	static const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_QUICK_EXIT, 1}, /* else a silent name server blocks the clean-up */
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_CONNECTTIMEOUT_MS, TRANSPORT_CONNECT_MS},
		{CURLOPT_TIMEOUT_MS, TRANSPORT_TOTAL_MS},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
		{CURLOPT_SSL_VERIFYPEER, 1},
		{CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		/* The proxy of a tunnel never sees the token. */
		{CURLOPT_HEADEROPT, CURLHEADER_SEPARATE},
	};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value) != CURLE_OK)
			return false;
	}
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       set_trust(transport, easy) == CURLE_OK;
}
