/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which token the next request carries, and whether the newest one is on disk. The host's own token
 * is preferred; a refused one gives way to the other, and both refused is refused. The tokens
 * themselves are never here.
 */
#pragma once

#include "proto/base/time.h"
#include "worker/core/policy.h"
#include "worker/core/words.h"

enum login_state {
	LOGIN_READY,
	LOGIN_KEEPING, /* a new token must be on disk before the next request */
	LOGIN_UNKEPT,  /* it could not be kept: used from memory, tried again at due */
	LOGIN_KEEPING_AGAIN,
};

struct login {
	enum login_state state;
	enum token use;
	bool has_own;
	bool has_shared;
	bool own_refused;
	bool shared_refused;
	uint32_t asked; /* keeps without an answer: only the last one's counts */
	struct mono due;
};

void login_init(struct login *login, bool has_own, bool has_shared);
/* The dashboard handed out a token: the caller has it kept. */
void login_new(struct login *login, struct mono now);
void login_kept(struct login *login, struct mono now, bool kept);
/* The wait for the disk is over, or it is time to try again; true: have it kept again. */
bool login_waited(struct login *login, struct mono now);
struct mono login_due(const struct login *login);
bool login_is_held(const struct login *login);

/* The dashboard took the token in use. */
void login_was_good(struct login *login);
/* It did not take token; false: there is no other to try now. */
bool login_was_refused(struct login *login, enum token token);
/* All were refused, and it is time to try all again. */
void login_from_start(struct login *login);
