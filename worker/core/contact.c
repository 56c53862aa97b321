/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/contact.h"

#include "proto/base/check.h"

#define HASTEN_GAP_MS 2000 /* the dashboard allows 30 registrations a minute */

void contact_init(struct contact *contact, uint64_t interval_ms, uint64_t spread_ms)
{
	check(interval_ms > 0);
	contact->state = CONTACT_CLOSED;
	contact->interval_ms = interval_ms;
	contact->spread_ms = spread_ms;
	contact->due = MONO_NEVER;
	contact->good = MONO_NEVER;
}

void contact_open(struct contact *contact, struct mono now)
{
	if (contact->state != CONTACT_CLOSED)
		return;
	contact->state = CONTACT_TRYING;
	contact->due = now;
}

struct mono contact_due(const struct contact *contact)
{
	return contact->due;
}

void contact_tried(struct contact *contact, struct mono now)
{
	check(contact->state != CONTACT_CLOSED);
	contact->tried = now;
}

void contact_was_good(struct contact *contact, struct mono now)
{
	contact->good = now;
}

void contact_registered(struct contact *contact, struct mono now)
{
	check(contact->state != CONTACT_CLOSED);
	contact->state = CONTACT_UP;
	contact->failures = contact->refusals = 0;
	contact->registrations++;
	contact->reason[0] = '\0';
	/* The first registration leaves a host unseen on the dashboard; the second shows it. */
	if (contact->registrations == 1)
		contact->due = now;
	else
		contact->due = mono_after(contact->tried, contact->interval_ms);
}

static uint64_t doubled(uint64_t first_ms, uint32_t times, uint64_t most_ms)
{
	uint64_t ms = first_ms;
	check(first_ms > 0);
	for (uint32_t i = 0; i < times && i < RETRY_DOUBLINGS_MAX && ms < most_ms; i++)
		ms *= 2;
	return ms < most_ms ? ms : most_ms;
}

void contact_failed(struct contact *contact, struct mono now, struct dice *dice, struct text reason)
{
	uint64_t first_ms = contact->spread_ms > RETRY_MIN_MS ? contact->spread_ms : RETRY_MIN_MS;
	/* A fleet that was told to spread over a minute must not come back faster later on. */
	uint64_t most_ms = first_ms > RETRY_MAX_MS ? first_ms : RETRY_MAX_MS;
	uint64_t wait_ms = first_ms;
	if (contact->failures > 0) {
		uint64_t step_ms = first_ms > RETRY_STEP_MS ? first_ms : RETRY_STEP_MS;
		wait_ms = doubled(step_ms, contact->failures, most_ms);
	}
	check(wait_ms >= RETRY_MIN_MS);
	contact->state = CONTACT_WAITING;
	if (contact->failures < UINT32_MAX)
		contact->failures++;
	contact->due = mono_after(now, RETRY_MIN_MS + dice_throw(dice, wait_ms - RETRY_MIN_MS));
	text_copy(reason, contact->reason, sizeof(contact->reason));
}

void contact_held(struct contact *contact, struct mono now, uint64_t wait_ms, struct text reason)
{
	if (wait_ms < RETRY_AFTER_MIN_MS)
		wait_ms = RETRY_AFTER_MIN_MS;
	if (wait_ms > RETRY_AFTER_MAX_MS)
		wait_ms = RETRY_AFTER_MAX_MS;
	contact->state = CONTACT_HELD;
	contact->due = mono_after(now, wait_ms);
	text_copy(reason, contact->reason, sizeof(contact->reason));
}

void contact_refused(
	struct contact *contact, struct mono now, struct dice *dice, struct text reason)
{
	uint64_t wait_ms = doubled(REFUSED_RETRY_MIN_MS, contact->refusals, REFUSED_RETRY_MAX_MS);
	contact->state = CONTACT_REFUSED;
	if (contact->refusals < UINT32_MAX)
		contact->refusals++;
	contact->due = mono_after(now, wait_ms / 2 + dice_throw(dice, wait_ms / 2));
	text_copy(reason, contact->reason, sizeof(contact->reason));
}

void contact_retry_now(struct contact *contact, struct mono now)
{
	check(contact->state != CONTACT_CLOSED);
	contact->state = CONTACT_TRYING;
	contact->due = now;
}

void contact_hasten(struct contact *contact, struct mono now)
{
	struct mono due = mono_after(contact->tried, HASTEN_GAP_MS);
	if (contact->state != CONTACT_UP)
		return;
	if (mono_reached(now, due))
		due = now;
	contact->due = mono_earlier(contact->due, due);
}

void contact_network(struct contact *contact, struct mono now)
{
	struct mono due = mono_after(contact->tried, NETWORK_GAP_MS);
	if (contact->state != CONTACT_WAITING)
		return;
	if (mono_reached(now, due))
		due = now;
	contact->due = mono_earlier(contact->due, due);
}

enum link contact_link(const struct contact *contact, bool trying)
{
	switch (contact->state) {
	case CONTACT_CLOSED: return LINK_NONE;
	case CONTACT_TRYING: return LINK_CONNECTING;
	case CONTACT_UP: return LINK_UP;
	case CONTACT_WAITING: return trying ? LINK_CONNECTING : LINK_WAITING;
	case CONTACT_HELD: return LINK_WAITING;
	case CONTACT_REFUSED: return LINK_REFUSED;
	}
	return LINK_NONE;
}
