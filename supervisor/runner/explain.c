/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The sentence that people read about the end of a step. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/runner/run.h"

/* switch-to-configuration's code for a system that is switched, with services that do not start. */
#define NIXOS_UNITS_FAILED 4

const char *step_program(const struct step *step)
{
	const char *name = step->argv[0];
	/* Whose word counts is the program behind sudo; of a question to sudo itself it is sudo's.
	 */
	if (strcmp(name, "sudo") == 0 && step->argv[1] && step->argv[2] && step->argv[2][0] != '-')
		name = step->argv[2];
	return strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
}

void explain_end(struct run *run, const struct step *step, struct ended ended)
{
	char how[OUTCOME_TEXT_BYTES], proof[160] = "";
	const char *last = run->sink.last_line;
	outcome_text(ended.outcome, ended.code, how);
	proof_text(&run->proof, proof, sizeof(proof));
	switch (ended.outcome) {
	case OUTCOME_EXITED:
		if (ended.code == NIXOS_UNITS_FAILED &&
			strcmp(step_program(step), "nixos-rebuild") == 0)
			snprintf(run->reason, sizeof(run->reason),
				"4: switched, but units failed%s%.300s", *run->units ? ": " : "",
				run->units);
		else if (step->says && ended.code == 1)
			snprintf(run->reason, sizeof(run->reason), "%s", step->says);
		else if (ended.code == 127 && *last)
			snprintf(run->reason, sizeof(run->reason), "%s", last);
		else
			snprintf(run->reason, sizeof(run->reason), "%.60s %s%s%.280s",
				step_program(step), how, *last ? ": " : "", last);
		break;
	case OUTCOME_SIGNALED:
		snprintf(run->reason, sizeof(run->reason),
			"%.60s was ended by signal %d (%s)%s%.200s", step_program(step),
			(int)ended.code, strsignal((int)ended.code), *last ? ": " : "", last);
		break;
	case OUTCOME_TIMED_OUT:
		snprintf(run->reason, sizeof(run->reason),
			"timed out after %" PRIu64 " s in step %.60s%s",
			run->plan.deadline_ms / 1000, step->stage, proof);
		break;
	case OUTCOME_CANCELLED:
	case OUTCOME_INTERRUPTED:
		snprintf(run->reason, sizeof(run->reason), "%s in step %.60s%s", how, step->stage,
			proof);
		break;
	case OUTCOME_NONE:
	case OUTCOME_REFUSED:
	case OUTCOME_LOST: break;
	}
}
