/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "worker/core/contact.h"

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

static uint64_t due_ms(const struct contact *contact)
{
	return contact_due(contact).ns / NS_PER_MS;
}

/* Each wait is random below its bound, and the bounds are reached: a fleet spreads out. */
Test(contact, retries_double_to_their_bound_with_full_jitter)
{
	static const struct {
		uint64_t spread_ms;
		uint64_t most_ms[6];
	} rows[] = {
		{5000, {5000, 10000, 20000, 30000, 30000, 30000}},
		{60000, {60000, 60000, 60000, 60000, 60000, 60000}},
		{0, {100, 2000, 4000, 8000, 16000, 30000}},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		uint64_t seen[6] = {0};
		uint64_t least[6];
		memset(least, 0xff, sizeof(least));
		for (uint64_t seed = 0; seed < 500; seed++) {
			struct contact contact = {0};
			struct dice dice;
			dice_init(&dice, seed);
			contact_init(&contact, 30000, rows[row].spread_ms);
			contact_open(&contact, at(0));
			for (int i = 0; i < 6; i++) {
				contact_tried(&contact, at(1000));
				contact_failed(&contact, at(1000), &dice, text_of("away"));
				uint64_t wait_ms = due_ms(&contact) - 1000;
				cr_assert(le(u64, wait_ms, rows[row].most_ms[i]));
				cr_assert(ge(u64, wait_ms, RETRY_MIN_MS));
				seen[i] = wait_ms > seen[i] ? wait_ms : seen[i];
				least[i] = wait_ms < least[i] ? wait_ms : least[i];
			}
		}
		for (int i = 0; i < 6; i++) {
			cr_assert(ge(u64, seen[i], rows[row].most_ms[i] * 9 / 10));
			cr_assert(le(u64, least[i], RETRY_MIN_MS + rows[row].most_ms[i] / 10));
		}
	}
}

Test(contact, only_a_registration_resets_the_failures)
{
	struct contact contact = {0};
	struct dice dice = {1};
	contact_init(&contact, 30000, 1000);
	contact_open(&contact, at(0));
	contact_tried(&contact, at(0));
	contact_failed(&contact, at(0), &dice, TEXT_NONE);
	contact_was_good(&contact, at(5));
	cr_assert(eq(u32, contact.failures, 1));
	contact_registered(&contact, at(10));
	cr_assert(eq(u32, contact.failures, 0));
}

Test(contact, refused_credentials_wait_up_to_five_minutes)
{
	struct contact contact = {0};
	struct dice dice = {1};
	contact_init(&contact, 30000, 1000);
	contact_open(&contact, at(0));
	uint64_t last_ms = 0;
	for (int i = 0; i < 20; i++) {
		contact_tried(&contact, at(0));
		contact_refused(&contact, at(0), &dice, TEXT_NONE);
		last_ms = due_ms(&contact);
		cr_assert(le(u64, last_ms, REFUSED_RETRY_MAX_MS));
		cr_assert(ge(u64, last_ms, REFUSED_RETRY_MIN_MS / 2));
	}
	cr_assert(ge(u64, last_ms, REFUSED_RETRY_MAX_MS / 2));
	contact_network(&contact, at(1));
	cr_assert(eq(u64, due_ms(&contact), last_ms));
}

Test(contact, a_pause_the_server_asks_for_is_bounded)
{
	struct contact contact = {0};
	contact_init(&contact, 30000, 1000);
	contact_open(&contact, at(0));
	contact_held(&contact, at(0), UINT64_MAX, TEXT_NONE);
	cr_assert(eq(u64, due_ms(&contact), RETRY_AFTER_MAX_MS));
	contact_held(&contact, at(0), 1, TEXT_NONE);
	cr_assert(eq(u64, due_ms(&contact), RETRY_AFTER_MIN_MS));
}

#define INTERVAL_MS 30000

static struct contact make(void)
{
	struct contact contact = {0};
	contact_init(&contact, INTERVAL_MS, 1000);
	return contact;
}

/* Registered twice; the second time at ms. */
static struct contact make_up(uint64_t ms)
{
	struct contact contact = make();
	contact_open(&contact, at(0));
	contact_registered(&contact, at(0));
	contact_tried(&contact, at(ms));
	contact_registered(&contact, at(ms + 1));
	return contact;
}

Test(contact, nothing_is_due_before_the_gate_opens)
{
	struct contact contact = make();
	cr_assert(eq(u64, contact_due(&contact).ns, MONO_NEVER.ns));
	cr_assert(eq(u64, contact.good.ns, MONO_NEVER.ns));
	contact_open(&contact, at(70));
	cr_assert(eq(int, (int)contact.state, CONTACT_TRYING));
	cr_assert(eq(u64, due_ms(&contact), 70));
	contact_open(&contact, at(80));
	cr_assert(eq(u64, due_ms(&contact), 70));
}

Test(contact, the_second_registration_follows_at_once_and_then_the_interval)
{
	struct contact contact = make();
	struct dice dice = {1};
	contact_open(&contact, at(0));
	contact_failed(&contact, at(0), &dice, text_of("away"));
	contact_refused(&contact, at(0), &dice, text_of("refused"));
	contact_tried(&contact, at(100));
	contact_registered(&contact, at(150));
	cr_assert(eq(int, (int)contact.state, CONTACT_UP));
	cr_assert(eq(u64, due_ms(&contact), 150));
	cr_assert(eq(u32, contact.failures + contact.refusals, 0));
	cr_assert(eq(str, contact.reason, ""));
	contact_tried(&contact, at(200));
	contact_registered(&contact, at(250));
	cr_assert(eq(u64, due_ms(&contact), 200 + INTERVAL_MS));
	cr_assert(eq(u64, contact.registrations, 2));
}

Test(contact, any_good_answer_is_a_contact)
{
	struct contact contact = make();
	contact_was_good(&contact, at(7));
	cr_assert(eq(u64, contact.good.ns, at(7).ns));
}

Test(contact, what_failed_is_kept_in_words)
{
	struct contact contact = make();
	struct dice dice = {1};
	contact_failed(&contact, at(0), &dice, text_of("away"));
	cr_assert(eq(int, (int)contact.state, CONTACT_WAITING));
	cr_assert(eq(str, contact.reason, "away"));
	contact_held(&contact, at(0), 5000, text_of("busy"));
	cr_assert(eq(int, (int)contact.state, CONTACT_HELD));
	cr_assert(eq(str, contact.reason, "busy"));
	cr_assert(eq(u64, due_ms(&contact), 5000));
	contact_refused(&contact, at(0), &dice, text_of("refused"));
	cr_assert(eq(int, (int)contact.state, CONTACT_REFUSED));
	cr_assert(eq(str, contact.reason, "refused"));
}

Test(contact, counts_end_at_their_most)
{
	struct contact contact = make();
	struct dice dice = {1};
	contact.failures = contact.refusals = UINT32_MAX;
	contact_failed(&contact, at(0), &dice, TEXT_NONE);
	contact_refused(&contact, at(0), &dice, TEXT_NONE);
	cr_assert(eq(u32, contact.failures, UINT32_MAX));
	cr_assert(eq(u32, contact.refusals, UINT32_MAX));
}

Test(contact, another_token_is_tried_at_once)
{
	struct contact contact = make();
	struct dice dice = {1};
	contact_open(&contact, at(0));
	contact_refused(&contact, at(0), &dice, TEXT_NONE);
	contact_retry_now(&contact, at(5));
	cr_assert(eq(int, (int)contact.state, CONTACT_TRYING));
	cr_assert(eq(u64, due_ms(&contact), 5));
}

/* Not before 2 s after the last one, and never later than it was. */
Test(contact, a_heartbeat_is_hastened_only_while_the_link_is_up)
{
	static const struct {
		uint64_t now_ms, due_ms;
	} rows[] = {{1000500, 1002000}, {1002000, 1002000}, {1005000, 1005000}, {1040000, 1030000}};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct contact contact = make_up(1000000);
		contact_hasten(&contact, at(rows[row].now_ms));
		cr_expect(eq(u64, due_ms(&contact), rows[row].due_ms), "row %zu", row);
	}
	struct contact held = make_up(1000000);
	contact_held(&held, at(1000000), 5000, TEXT_NONE);
	contact_hasten(&held, at(1002500));
	cr_assert(eq(u64, due_ms(&held), 1005000));
}

/* Not before 1 s after the last try, and never later than it was. */
Test(contact, another_network_brings_only_a_try_that_waits_forward)
{
	static const struct {
		uint64_t now_ms, due_ms;
	} rows[] = {{1000500, 1001000}, {1001000, 1001000}, {1005000, 1005000}, {1040000, 1030000}};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct contact contact = make_up(1000000);
		contact.state = CONTACT_WAITING;
		contact_network(&contact, at(rows[row].now_ms));
		cr_expect(eq(u64, due_ms(&contact), rows[row].due_ms), "row %zu", row);
	}
	struct contact up = make_up(1000000);
	contact_network(&up, at(1005000));
	cr_assert(eq(u64, due_ms(&up), 1000000 + INTERVAL_MS));
}

Test(contact, people_see_what_the_link_is)
{
	static const struct {
		enum contact_state state;
		enum link idle, trying;
	} rows[] = {
		{CONTACT_CLOSED, LINK_NONE, LINK_NONE},
		{CONTACT_TRYING, LINK_CONNECTING, LINK_CONNECTING},
		{CONTACT_UP, LINK_UP, LINK_UP},
		{CONTACT_WAITING, LINK_WAITING, LINK_CONNECTING},
		{CONTACT_HELD, LINK_WAITING, LINK_WAITING},
		{CONTACT_REFUSED, LINK_REFUSED, LINK_REFUSED},
	};
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct contact contact = {.state = rows[row].state};
		cr_expect(eq(int, (int)contact_link(&contact, false), (int)rows[row].idle),
			"row %zu", row);
		cr_expect(eq(int, (int)contact_link(&contact, true), (int)rows[row].trying),
			"row %zu", row);
	}
}
