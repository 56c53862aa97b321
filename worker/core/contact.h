/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * When the dashboard is next registered with: as heartbeat while all is well, as the first try
 * again after anything failed. It never sends; the agent asks contact_due().
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "proto/terms.h"
#include "worker/core/dice.h"
#include "worker/core/policy.h"

enum contact_state {
	CONTACT_CLOSED,  /* the gate */
	CONTACT_TRYING,  /* nothing failed yet, nothing is registered yet */
	CONTACT_UP,      /* registered; due is the next heartbeat */
	CONTACT_WAITING, /* failed; due is the next try, a change of the network brings it forward
			  */
	CONTACT_HELD, /* the dashboard said when, or what it objects to: nothing brings it forward
		       */
	CONTACT_REFUSED, /* no token is good */
};

struct contact {
	enum contact_state state;
	uint32_t failures; /* since the last accepted registration */
	uint32_t refusals;
	uint64_t registrations;
	uint64_t spread_ms;
	uint64_t interval_ms;
	struct mono due;
	struct mono tried; /* when the last request began */
	struct mono good;  /* the last good answer; MONO_NEVER before the first */
	char reason[REASON_BYTES_MAX + 1];
};

void contact_init(struct contact *contact, uint64_t interval_ms, uint64_t spread_ms);
void contact_open(struct contact *contact, struct mono now);
/* When a registration is wanted; MONO_NEVER before the gate. */
struct mono contact_due(const struct contact *contact);
void contact_tried(struct contact *contact, struct mono now);
/* Any good answer. */
void contact_was_good(struct contact *contact, struct mono now);
/* The registration that began at contact->tried was accepted. */
void contact_registered(struct contact *contact, struct mono now);
/* No answer, a 5xx, garbage: jittered and doubled. */
void contact_failed(
	struct contact *contact, struct mono now, struct dice *dice, struct text reason);
/* The dashboard asked for a pause, or objects to what we say. */
void contact_held(struct contact *contact, struct mono now, uint64_t wait_ms, struct text reason);
void contact_refused(
	struct contact *contact, struct mono now, struct dice *dice, struct text reason);
/* Another token is tried at once. */
void contact_retry_now(struct contact *contact, struct mono now);
/* The facts of the host changed: a heartbeat soon. */
void contact_hasten(struct contact *contact, struct mono now);
void contact_network(struct contact *contact, struct mono now);
/* trying: a request is on its way. */
enum link contact_link(const struct contact *contact, bool trying);
