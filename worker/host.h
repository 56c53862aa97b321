/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What hello said about the host, copied. The tokens are not here: see tokens.h. */
#pragma once

#include "proto/message.h"

#define HOST_TEXTS(X)      \
	X(url)             \
	X(host)            \
	X(host_type)       \
	X(location)        \
	X(device_type)     \
	X(theme_color)     \
	X(nixpkgs_version) \
	X(repo_dir)        \
	X(repo_url)        \
	X(runs_dir)        \
	X(ca_file)         \
	X(pinned_pubkey)

struct host {
	uint64_t protocol;
	uint64_t interval_ms;
#define X(field) char *field; /* never NULL between init and finish */
	HOST_TEXTS(X)
#undef X
};

/* 0, or -1 with errno (ENOMEM) and nothing to finish. */
int host_init(struct host *host, const struct message_hello *hello);
void host_finish(struct host *host);
