/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/login.h"

#include "proto/base/check.h"

void login_init(struct login *login, bool has_own, bool has_shared)
{
	login->state = LOGIN_READY;
	login->has_own = has_own;
	login->has_shared = has_shared;
	login->use = has_own ? TOKEN_OWN : TOKEN_SHARED;
	login->due = MONO_NEVER;
}

void login_new(struct login *login, struct mono now)
{
	check(login->asked < UINT32_MAX);
	login->state = LOGIN_KEEPING;
	login->has_own = true;
	login->own_refused = false;
	login->use = TOKEN_OWN;
	login->asked++;
	login->due = mono_after(now, TOKEN_KEPT_WAIT_MS);
}

void login_kept(struct login *login, struct mono now, bool kept)
{
	if (login->asked == 0 || --login->asked > 0)
		return;
	if (kept) {
		login->state = LOGIN_READY;
		login->due = MONO_NEVER;
	} else {
		login->state = LOGIN_UNKEPT;
		login->due = mono_after(now, TOKEN_KEEP_AGAIN_MS);
	}
}

bool login_waited(struct login *login, struct mono now)
{
	if (!mono_reached(now, login->due))
		return false;
	switch (login->state) {
	case LOGIN_READY: return false;
	case LOGIN_KEEPING:
	case LOGIN_KEEPING_AGAIN:
		/* The disk may be stuck; the dashboard knows only the new token by now. */
		login->state = LOGIN_UNKEPT;
		login->due = mono_after(now, TOKEN_KEEP_AGAIN_MS);
		return false;
	case LOGIN_UNKEPT:
		check(login->asked < UINT32_MAX);
		login->state = LOGIN_KEEPING_AGAIN;
		login->asked++;
		login->due = mono_after(now, TOKEN_KEEP_AGAIN_MS);
		return true;
	}
	return false;
}

struct mono login_due(const struct login *login)
{
	return login->due;
}

bool login_is_held(const struct login *login)
{
	return login->state == LOGIN_KEEPING;
}

void login_was_good(struct login *login)
{
	/* A refusal counts until a token works: later, the other one may be good again. */
	login->own_refused = login->shared_refused = false;
}

bool login_was_refused(struct login *login, enum token token)
{
	bool own_left;
	bool shared_left;
	if (token == TOKEN_OWN)
		login->own_refused = true;
	else
		login->shared_refused = true;
	own_left = login->has_own && !login->own_refused;
	shared_left = login->has_shared && !login->shared_refused;
	if (own_left)
		login->use = TOKEN_OWN;
	else if (shared_left)
		login->use = TOKEN_SHARED;
	return own_left || shared_left;
}

void login_from_start(struct login *login)
{
	login->own_refused = login->shared_refused = false;
	login->use = login->has_own ? TOKEN_OWN : TOKEN_SHARED;
}
