/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The pause: what is on the disk of it, and since when people count on it. Who was told that the
 * host is paused sees no command start until it ends, whatever dies meanwhile.
 */
#include "tests/sim/process.h"

#define LONGEST_MS (20 * 60 * 1000)
/* Lengths are kept in whole milliseconds. */
#define ROUNDED_NS (10 * NS_PER_MS)

struct rules_event pause_ask(struct sim *sim, bool is_on)
{
	struct rules_event event = {.type = EVENT_ASKED_PAUSE};
	uint64_t for_ms = sim_random(sim, 4) ? 1000 + sim_random(sim, LONGEST_MS) : PAUSE_FOR_EVER;
	event.asked_pause.client = SIM_PAUSE_CLIENT;
	event.asked_pause.is_on = is_on;
	event.asked_pause.for_ms = is_on ? for_ms : 0;
	event.asked_pause.reason = text_of("maintenance");
	return event;
}

void pause_note_asked(struct sim *sim, const struct rules_event *event)
{
	uint64_t ms = event->asked_pause.for_ms;
	sim->pause.is_sure = false;
	sim->pause.jumps = sim->counts.jumps;
	sim->pause.until = ms == PAUSE_FOR_EVER ? UINT64_MAX
						: sim->now + ms * NS_PER_MS - ROUNDED_NS;
	sim_trace(sim, "%s", event->asked_pause.is_on ? "a pause is asked for" : "resumed");
}

void pause_note_reply(struct sim *sim, const struct rules_action *action, bool is_on)
{
	if (action->reply.client == SIM_PAUSE_CLIENT && action->reply.is_good)
		sim->pause.is_sure = is_on;
}

bool pause_holds(const struct sim *sim)
{
	return sim->pause.is_sure && sim->now < sim->pause.until &&
	       sim->pause.jumps == sim->counts.jumps;
}

struct sim_kept pause_to_keep(const struct sim *sim, const struct rules *rules)
{
	return (struct sim_kept){.is_on = rules->pause.is_on,
		.until_wall_ms = rules->pause.until_wall_ms,
		.left_ms = rules_pause_left_ms(rules),
		.boot = sim->boot,
		.at = sim->now};
}

struct rules_kept_pause pause_read(const struct sim *sim)
{
	const struct sim_kept *kept = &sim->pause.kept;
	uint64_t left = kept->left_ms, passed = (sim->now - kept->at) / NS_PER_MS;
	if (left != PAUSE_FOR_EVER && kept->boot == sim->boot)
		left = passed < left ? left - passed : 0;
	return (struct rules_kept_pause){.is_on = kept->is_on,
		.until_wall_ms = kept->until_wall_ms,
		.left_ms = left,
		.reason = text_of("maintenance")};
}
