/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Secrets are overwritten, byte for byte, so that what is framed keeps its lengths. */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define REDACT_SECRETS_MAX 8
/* A shorter one would be found everywhere. */
#define REDACT_LEAST_BYTES 6

struct redact {
	char secrets[REDACT_SECRETS_MAX][TOKEN_BYTES_MAX + 1];
	uint32_t count;
};

/* What is known to be secret; its first line, and the value of KEY=value. */
void redact_learn(struct redact *redact, const char *secret);
/* What was learnt, and what stands where secrets stand: after NIXFLEET_TOKEN=, after Bearer, and
 * before the @ of a URL. */
void redact(const struct redact *redact, char *data, size_t size);
