/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/outside.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/runner/unit.h"

#define LOOK_EVERY_MS 500
/* In a row, before the end is called unknown: systemctl has no answer while systemd executes itself
 * anew, as it does within activations. */
#define UNKNOWN_LOOKS 6

bool outside_is_free(struct run *run, const char *name)
{
	struct unit unit = {0};
	if (!name)
		return true;
	unit_look(&unit, name, 0);
	if (unit.state != UNIT_ACTIVE)
		return true;
	run->outcome = OUTCOME_REFUSED;
	snprintf(run->reason, sizeof(run->reason),
		"an activation still goes on in %.200s: wait for its end", name);
	return false;
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

static void decide(struct run *run, const struct unit *unit, const char *name)
{
	switch (unit->state) {
	case UNIT_ACTIVE:
		if (run->asked == ASKED_INTERRUPT)
			run->outcome = OUTCOME_INTERRUPTED;
		else
			run->outcome = OUTCOME_TIMED_OUT;
		add(run, "activation continues in ", name);
		return;
	case UNIT_UNKNOWN:
		/* The outcome stays what it was: a code is never made up. */
		add(run, "how the activation ended is not known to this account: ", name);
		if (run->outcome == OUTCOME_EXITED && run->code == 0)
			run->outcome = OUTCOME_LOST;
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

void outside_wait(struct run *run, const char *name)
{
	struct unit unit = {0};
	bool was_active = false;
	int unknown = 0;
	int64_t since = wall_ms(wall_now()) - (int64_t)run_ms(run);
	struct mono until = mono_after(mono_now(), ACTIVATION_WAIT_MS);
	if (!name || run->outcome == OUTCOME_REFUSED)
		return;
	for (;;) {
		unit_look(&unit, name, since);
		unknown = unit.state == UNIT_UNKNOWN ? unknown + 1 : 0;
		if (unit.state == UNIT_ENDED || unknown == UNKNOWN_LOOKS ||
			(unknown && !was_active))
			break;
		if (!was_active)
			say_once(run, name);
		was_active = true;
		if (run->asked == ASKED_INTERRUPT || mono_reached(mono_now(), until))
			break;
		run_attend(run, LOOK_EVERY_MS);
	}
	if (was_active)
		decide(run, &unit, name);
}
