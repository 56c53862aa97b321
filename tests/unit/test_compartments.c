/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "worker/core/agent.h"

#define DAY_S 86400

static void end(
	struct compartments *compartments, const char *command, int64_t code, const char *summary)
{
	compartments_ended(compartments, &(struct compartments_result){.command = text_of(command),
						 .outcome = OUTCOME_EXITED,
						 .code = code,
						 .reason = text_of(code ? "it failed" : ""),
						 .summary = text_of(summary),
						 .wall_ms = 1000});
}

static char *say(const struct compartments *compartments, char text[64])
{
	static const char letters[] = "?+~!w"; /* unknown ok outdated error working */
	for (int i = 0; i < COMPARTMENT_COUNT; i++)
		text[i] = letters[compartments->list[i].status];
	text[COMPARTMENT_COUNT] = '\0';
	return text;
}

/* git, lock, system, tests after each command, one after the other. */
Test(compartments, follow_what_happened)
{
	static const struct {
		const char *command;
		int64_t code;
		const char *summary;
		const char *after;
	} rows[] = {
		{"restart", 0, "", "????"},
		{"pull", 0, "", "+?~?"},
		{"switch", 0, "", "+?+?"},
		{"test", 0, "3/3 pass", "+?++"},
		{"switch", 1, "", "+?!+"},
		{"switch", 0, "", "+?+~"},
		{"test", 1, "2/3 pass, 1 fail", "+?+!"},
		{"update", 0, "", "++~!"},
		{"pull", 1, "", "!+~!"},
		{"refresh-git", 0, "outdated: 3 commits behind", "~+~!"},
		{"refresh-system", 0, "ok: up to date", "~++!"},
		{"refresh-all", 0,
			"git: ok: up to date; lock: outdated: 9 days old; system: error: no",
			"+~!!"},
		{"rollback", 0, "", "+~+~"},
		{"refresh-lock", 0, "nonsense", "+~+~"},
		{"refresh-all", 0, "disk: error: full; lock: ok: 1 days old", "+++~"},
	};
	struct compartments compartments = {0};
	char text[64];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		compartments_started(&compartments, text_of(rows[i].command));
		end(&compartments, rows[i].command, rows[i].code, rows[i].summary);
		cr_expect(eq(str, say(&compartments, text), (char *)rows[i].after), "row %zu", i);
	}
}

Test(compartments, are_working_while_a_command_runs)
{
	struct compartments compartments = {0};
	char text[64];
	compartments_started(&compartments, text_of("pull-switch"));
	cr_assert(eq(str, say(&compartments, text), "w?w?"));
	compartments_ended(&compartments, &(struct compartments_result){
						  .command = text_of("pull-switch"),
						  .outcome = OUTCOME_REFUSED,
					  });
	cr_assert(eq(str, say(&compartments, text), "????"));
}

Test(compartments, a_lock_file_is_fresh_for_a_week)
{
	static const struct {
		int64_t age_s;
		enum update status;
		const char *message;
	} rows[] = {
		{0, UPDATE_OK, "0 days old"}, {7 * DAY_S, UPDATE_OK, "7 days old"},
		{7 * DAY_S + 1, UPDATE_OUTDATED, "7 days old"},
		{400 * DAY_S, UPDATE_OUTDATED, "400 days old"},
		{-DAY_S, UPDATE_OK, "0 days old"}, /* the clock was set */
	};
	const int64_t now_s = INT64_C(1795612759);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct compartments compartments = {0};
		const struct compartment *lock = &compartments.list[COMPARTMENT_LOCK];
		compartments_lock(&compartments, now_s - rows[i].age_s, now_s * 1000);
		cr_expect(eq(int, lock->status, rows[i].status));
		cr_expect(eq(str, (char *)lock->message, (char *)rows[i].message));
	}
}

/* An update that is not committed counts, too. */
Test(compartments, an_updated_lock_file_is_fresh_without_a_commit)
{
	struct compartments compartments = {0};
	compartments_ended(&compartments, &(struct compartments_result){
						  .command = text_of("update"),
						  .outcome = OUTCOME_EXITED,
						  .wall_ms = INT64_C(1795612759000),
					  });
	compartments_lock(&compartments, 1000, INT64_C(1795612759000));
	cr_assert(eq(int, compartments.list[COMPARTMENT_LOCK].status, UPDATE_OK));
}
