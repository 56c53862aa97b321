/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The SHA-256 of flake.lock. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "proto/base/fd.h"
#include "worker/facts.h"

#define HASHED_BYTES_MAX (64 * 1024 * 1024)
#define LOCK_PIECE_BYTES 16384

static bool hash_pieces(int fd, EVP_MD_CTX *context, uint8_t *digest, unsigned *digest_bytes)
{
	uint8_t piece[LOCK_PIECE_BYTES];
	if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		return false;
	for (uint32_t total = 0; total <= HASHED_BYTES_MAX;) {
		ssize_t got = fd_read_all(fd, piece, sizeof(piece));
		if (got < 0)
			return false;
		if (got == 0)
			return EVP_DigestFinal_ex(context, digest, digest_bytes) == 1;
		if (EVP_DigestUpdate(context, piece, (size_t)got) != 1)
			return false;
		total += (uint32_t)got;
	}
	errno = EFBIG;
	return false;
}

int facts_hash(int fd, char *to)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context && hash_pieces(fd, context, digest, &bytes);
	EVP_MD_CTX_free(context);
	if (!done)
		return -1;
	for (unsigned i = 0; i < bytes && i < FACT_HASH_BYTES / 2; i++)
		snprintf(to + (size_t)2 * i, 3, "%02x", digest[i]);
	return 0;
}

int facts_lock(const char *repo_dir, struct facts_lock *lock)
{
	char path[PATH_BYTES_MAX + 16];
	struct facts_lock seen = {.hash = ""};
	bool is_there = facts_stamp(repo_dir, "/flake.lock", &seen.stamp);
	if (is_there && lock->hash[0] && facts_stamp_is(&seen.stamp, &lock->stamp))
		return 0;
	*lock = seen;
	if (!is_there)
		return -1;
	/* What replaces the file after the look is seen at the next one. */
	snprintf(path, sizeof(path), "%s/flake.lock", repo_dir);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && facts_hash(fd, lock->hash) == 0)
		return 0;
	lock->hash[0] = '\0';
	return -1;
}
