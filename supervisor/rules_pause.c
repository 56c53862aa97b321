/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The pause: no command starts while it holds; what runs goes on, what arrives waits (over a
 * WebSocket it is refused, because that dashboard asks again by itself or not at all).
 *
 * It ends when the wall clock reaches its end or when its length has passed on the monotonic clock,
 * whichever is first. So a wall clock that jumps ahead ends it early by no more than the jump, one
 * that jumps back cannot keep it, and a night's sleep counts as people count it.
 */
#include <stdio.h>

#include "supervisor/rules_parts.h"

#define PAUSE_RETRY_MS 30000

static void write_sentence(struct rules_pause *pause)
{
	char when[WALL_TEXT_BYTES] = "it is resumed";
	if (pause->until_wall_ms != 0)
		wall_text((struct wall){pause->until_wall_ms * (int64_t)NS_PER_MS}, when);
	snprintf(pause->sentence, sizeof(pause->sentence), "paused until %s%s%s", when,
		pause->reason[0] ? ": " : "", pause->reason);
}

static void set(struct rules *rules, bool is_on, uint64_t left_ms, int64_t until_wall_ms,
	struct text reason)
{
	struct rules_pause *pause = &rules->pause;
	pause->is_on = is_on;
	pause->until = is_on && left_ms != PAUSE_FOR_EVER ? mono_after(rules->now, left_ms)
							  : MONO_NEVER;
	pause->until_wall_ms = is_on ? until_wall_ms : 0;
	text_copy(is_on ? reason : TEXT_NONE, pause->reason, sizeof(pause->reason));
	write_sentence(pause);
}

static void store(struct rules *rules, struct rules_actions *actions)
{
	struct rules_pause *pause = &rules->pause;
	pause->is_again = pause->is_storing;
	pause->retry = MONO_NEVER;
	if (pause->is_storing)
		return;
	pause->is_storing = true;
	pause->save_next = pause->until.ns == MONO_NEVER.ns ? MONO_NEVER
							    : mono_after(rules->now, PAUSE_SAVE_MS);
	rules_emit_store(actions, ACT_PAUSE, RULES_NO_RUN);
}

static void answer(
	struct rules *rules, bool is_good, const char *text, struct rules_actions *actions)
{
	struct rules_pause *pause = &rules->pause;
	if (pause->client == RULES_NO_CLIENT)
		return;
	struct rules_action *action = rules_emit(actions, ACTION_REPLY);
	action->reply.client = pause->client;
	action->reply.is_good = is_good;
	action->reply.is_said = true;
	action->reply.text = text_of(text);
	pause->client = RULES_NO_CLIENT;
}

void pause_tell(struct rules *rules, struct rules_actions *actions)
{
	rules_tell(rules, actions,
		&(struct message){
			.type = MESSAGE_PAUSED, .paused = {.paused = rules->pause.is_on}});
}

static void end(struct rules *rules, struct rules_actions *actions)
{
	set(rules, false, 0, 0, TEXT_NONE);
	store(rules, actions);
	pause_tell(rules, actions);
	runs_go_on(rules, actions);
}

void pause_start(struct rules *rules, const struct rules_event *event)
{
	const struct rules_kept_pause *kept = &event->start.pause;
	rules->pause.retry = rules->pause.save_next = MONO_NEVER;
	set(rules, kept->is_on, kept->left_ms, kept->until_wall_ms, kept->reason);
	if (rules->pause.until.ns != MONO_NEVER.ns)
		rules->pause.save_next = rules->now; /* how much is left, as of this boot */
}

void pause_asked(
	struct rules *rules, const struct rules_event *event, struct rules_actions *actions)
{
	uint64_t for_ms = event->asked_pause.for_ms;
	int64_t until = for_ms == PAUSE_FOR_EVER ? 0 : wall_ms(rules->wall) + (int64_t)for_ms;
	answer(rules, false, "another pause or resume came before it was on the disk", actions);
	rules->pause.client = event->asked_pause.client;
	if (!event->asked_pause.is_on && !rules->pause.is_on && !rules->pause.is_storing) {
		answer(rules, true, "it was not paused", actions);
		return;
	}
	if (!event->asked_pause.is_on) {
		end(rules, actions);
		return;
	}
	set(rules, true, for_ms, until, event->asked_pause.reason);
	store(rules, actions);
	pause_tell(rules, actions);
}

void pause_stored(struct rules *rules, int error, struct rules_actions *actions)
{
	struct rules_pause *pause = &rules->pause;
	pause->is_storing = false;
	if (pause->is_again) {
		store(rules, actions);
		return;
	}
	if (error != 0) {
		pause->retry = mono_after(rules->now, PAUSE_RETRY_MS);
		answer(rules, false,
			pause->is_on ? "it is paused, but the disk did not take it: a restart of "
				       "the agent would forget it"
				     : "it is resumed, but the disk did not take it: a restart of "
				       "the agent would pause it again",
			actions);
		return;
	}
	answer(rules, true, pause->is_on ? pause->sentence : "resumed", actions);
}

static bool is_over(const struct rules *rules)
{
	const struct rules_pause *pause = &rules->pause;
	return pause->is_on && pause->until.ns != MONO_NEVER.ns &&
	       (mono_reached(rules->now, pause->until) ||
		       wall_ms(rules->wall) >= pause->until_wall_ms);
}

void pause_due(struct rules *rules, struct rules_actions *actions)
{
	struct rules_pause *pause = &rules->pause;
	if (is_over(rules))
		end(rules, actions);
	else if (!pause->is_storing && (mono_reached(rules->now, pause->retry) ||
					       mono_reached(rules->now, pause->save_next)))
		store(rules, actions);
}

uint64_t rules_pause_left_ms(const struct rules *rules)
{
	const struct rules_pause *pause = &rules->pause;
	if (!pause->is_on || pause->until.ns == MONO_NEVER.ns)
		return PAUSE_FOR_EVER;
	uint64_t left = mono_ms_until(rules->now, pause->until);
	int64_t wall = pause->until_wall_ms - wall_ms(rules->wall);
	if (wall < 0)
		return 0;
	return (uint64_t)wall < left ? (uint64_t)wall : left;
}

/* The wall clock may pass the end while the monotonic one stands still: it is looked at. */
struct mono pause_next(const struct rules *rules)
{
	const struct rules_pause *pause = &rules->pause;
	struct mono next = MONO_NEVER;
	if (pause->is_on && pause->until.ns != MONO_NEVER.ns) {
		uint64_t left = rules_pause_left_ms(rules);
		next = mono_after(rules->now, left < PAUSE_LOOK_MS ? left : PAUSE_LOOK_MS);
	}
	if (pause->is_storing)
		return next;
	return mono_earlier(next, mono_earlier(pause->retry, pause->save_next));
}
