/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* nixfleet-worker --probe: can the dashboard be reached at all? Resolves and connects, no more. */
#pragma once

/* 0, or 1 with one line on standard output. */
int probe_url(const char *url);

/* The whole way: TLS with the CA file and the pin (empty: none), and the answer to a request
 * without a token. 0 with `date SECONDS` where the answer tells, or 1 with one line that says why
 * not. */
int probe_tls(const char *url, char *ca_file, char *pinned_pubkey);
