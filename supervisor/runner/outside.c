/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/outside.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/runner/unit.h"

#define LOOK_EVERY_MS 500
/* The journal hears of an end a little later. */
#define JOURNAL_MS 3000

struct watch {
	struct unit unit;
	bool was_active, was_silent;
	struct mono untold; /* since when in a row it is silent, or idle */
};

/* The look's own child ends within it, and its SIGCHLD must not make the next one of it. */
static void pause_between(struct run *run)
{
	enum run_asked asked = run->asked;
	struct mono until = mono_after(mono_now(), LOOK_EVERY_MS);
	while (!mono_reached(mono_now(), until) && run->asked == asked)
		run_attend(run, mono_ms_until(mono_now(), until));
}

static bool refuse(struct run *run, const char *format, const char *name)
{
	run->outcome = OUTCOME_REFUSED;
	snprintf(run->reason, sizeof(run->reason), "%s%.200s", format, name);
	return false;
}

bool outside_is_free(struct run *run, const char *name)
{
	struct unit unit = {0};
	struct mono until = mono_after(mono_now(), ACTIVATION_SILENT_MS);
	if (!name)
		return true;
	for (;;) {
		unit_look(&unit, name, 0);
		if (unit.state == UNIT_ACTIVE)
			return refuse(
				run, "wait for the end of an activation that goes on in ", name);
		if (unit.state != UNIT_SILENT)
			return true;
		if (run->asked != ASKED_NOTHING) {
			run->outcome = run->asked == ASKED_INTERRUPT ? OUTCOME_INTERRUPTED
								     : OUTCOME_CANCELLED;
			return false;
		}
		if (mono_reached(mono_now(), until))
			return refuse(run,
				"systemctl does not say whether an activation goes on in ", name);
		pause_between(run);
	}
}

static void say_once(struct run *run, const char *name)
{
	char line[256];
	int size = snprintf(line, sizeof(line), "activation continues in %.200s\n", name);
	sink_take(&run->sink, run_ms(run), STREAM_RUNNER, line, (uint32_t)size);
}

/* What stands already says how the command ended; this is what became of the activation. */
static void add(struct run *run, const char *format, const char *name)
{
	size_t at = strlen(run->reason);
	snprintf(run->reason + at, sizeof(run->reason) - at, "%s", at ? "; " : "");
	at = strlen(run->reason);
	snprintf(run->reason + at, sizeof(run->reason) - at, "%s%.200s", format, name);
}

/* A code is never made up, and what a command said of its activation is over with it. */
static void forget_success(struct run *run)
{
	if (run->outcome == OUTCOME_EXITED && run->code == 0)
		run->outcome = OUTCOME_LOST;
}

static void decide(struct run *run, const struct watch *watch, const char *name)
{
	const struct unit *unit = &watch->unit;
	switch (unit->state) {
	case UNIT_ACTIVE:
		if (run->asked == ASKED_INTERRUPT)
			run->outcome = OUTCOME_INTERRUPTED;
		else
			run->outcome = OUTCOME_TIMED_OUT;
		add(run, "activation continues in ", name);
		return;
	case UNIT_ABSENT:
	case UNIT_SILENT:
		add(run, "systemctl does not say whether an activation goes on in ", name);
		if (watch->was_active)
			forget_success(run);
		return;
	case UNIT_IDLE:
		if (!watch->was_active)
			return;
		add(run, "how the activation ended is not known to this account: ", name);
		forget_success(run);
		return;
	case UNIT_ENDED: break;
	}
	run->outcome = OUTCOME_EXITED;
	run->code = unit->code;
	if (unit->code == 0)
		run->reason[0] = '\0';
	else
		snprintf(run->reason, sizeof(run->reason), "the activation in %.200s exited %d",
			name, (int)unit->code);
}

/* A look that tells nothing is no end: it counts once it has been so for a while. */
static bool is_over(const struct watch *watch)
{
	switch (watch->unit.state) {
	case UNIT_ACTIVE: return false;
	case UNIT_ABSENT:
	case UNIT_ENDED: return true;
	case UNIT_IDLE:
		return !watch->was_active ||
		       mono_reached(mono_now(), mono_after(watch->untold, JOURNAL_MS));
	case UNIT_SILENT: break;
	}
	return mono_reached(mono_now(), mono_after(watch->untold, ACTIVATION_SILENT_MS));
}

static void look(struct run *run, struct watch *watch, const char *name, int64_t since)
{
	enum unit_state before = watch->unit.state;
	unit_look(&watch->unit, name, since);
	/* Silence is no time that the journal had. */
	if (watch->unit.state != before)
		watch->untold = MONO_NEVER;
	if (watch->unit.state == UNIT_ACTIVE) {
		if (!watch->was_active)
			say_once(run, name);
		watch->was_active = true;
		watch->untold = MONO_NEVER;
	} else {
		watch->was_silent = watch->was_silent || watch->unit.state == UNIT_SILENT;
		watch->untold = mono_earlier(watch->untold, mono_now());
	}
}

void outside_wait(struct run *run, const char *name)
{
	struct watch watch = {.untold = MONO_NEVER};
	int64_t since = wall_ms(wall_now()) - (int64_t)run_ms(run);
	struct mono until = mono_after(mono_now(), ACTIVATION_WAIT_MS);
	if (!name || run->outcome == OUTCOME_REFUSED)
		return;
	for (;;) {
		look(run, &watch, name, since);
		if (is_over(&watch) || run->asked == ASKED_INTERRUPT ||
			mono_reached(mono_now(), until))
			break;
		pause_between(run);
	}
	/* An activation that ended before the first look was waited for by the command itself. */
	if (watch.was_active || watch.was_silent)
		decide(run, &watch, name);
}
