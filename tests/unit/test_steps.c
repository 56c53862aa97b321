/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What each command runs, as lines that a person can read. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/runner/steps.h"

static struct plan_command plan(const char *command, enum protocol protocol, const char *manager)
{
	return (struct plan_command){.command = text_of(command),
		.protocol = protocol,
		.manager = text_of(manager),
		.host = text_of("h1"),
		.user = text_of("ada"),
		.home = text_of("/home/ada"),
		.repo = text_of("/nowhere/repo"),
		.repo_url = TEXT_NONE,
		.branch = text_of("main"),
		.ops_dir = text_of("/nowhere/ops.d")};
}

/* All steps, each followed by a line's end; "sudo -n " is left out, so that it reads the same for
 * every account. fails_at: the stage whose failure is followed. */
static void list(const struct plan_command *command, const char *fails_at, char *text, size_t room)
{
	struct steps steps;
	struct step step;
	char reason[REASON_BYTES_MAX + 1];
	size_t at = 0;
	*text = '\0';
	steps_init(&steps, command);
	while (steps_next(&steps, &step, reason) == STEPS_NEXT) {
		bool fails = fails_at && strcmp(step.stage, fails_at) == 0;
		for (size_t i = strcmp(step.argv[0], "sudo") == 0 ? 2 : 0; step.argv[i]; i++)
			at += (size_t)snprintf(text + at, room - at, "%s%s", step.argv[i],
				step.argv[i + 1] ? " " : "\n");
		const char *jump = fails ? step.recovery : step.good_jump;
		bool stops = fails && step.failure == FAILURE_STOPS;
		if (fails && step.failure == FAILURE_GOES_ON)
			jump = NULL;
		step_finish(&step);
		if (stops)
			break;
		if (jump)
			steps_jump(&steps, jump);
	}
	steps_finish(&steps);
}

static const struct {
	const char *command;
	enum protocol protocol;
	const char *manager;
	const char *repo_url;
	const char *lines;
} cases[] = {
	{"pull", PROTOCOL_HTTP, "nixos", "", "git -C /nowhere/repo pull\n"},
	{"pull", PROTOCOL_HTTP, "nixos", "https://git/x",
		"git clone --branch main --single-branch -- https://git/x /nowhere/repo\n"
		"rm -f -- /nowhere/repo/.git/index.lock /nowhere/repo/.git/HEAD.lock "
		"/nowhere/repo/.git/config.lock /nowhere/repo/.git/shallow.lock "
		"/nowhere/repo/.git/refs/remotes/origin/main.lock\n"
		"git -C /nowhere/repo config --replace-all remote.origin.url https://git/x\n"
		"git -C /nowhere/repo config --replace-all remote.origin.fetch "
		"+refs/heads/main:refs/remotes/origin/main\n"
		"git -C /nowhere/repo fetch origin main\n"
		"git -C /nowhere/repo log --oneline -n 20 HEAD..origin/main\n"
		"git -C /nowhere/repo reset --hard origin/main\n"
		"git -C /nowhere/repo clean -fd\n"},
	{"switch", PROTOCOL_HTTP, "nixos", "", "nixos-rebuild switch --flake /nowhere/repo#h1\n"},
	{"switch", PROTOCOL_HTTP, "home-manager", "", "home-manager switch --flake .#ada@h1\n"},
	{"switch", PROTOCOL_WEBSOCKET, "home-manager", "",
		"home-manager switch --flake /nowhere/repo#h1\n"},
	{"switch", PROTOCOL_HTTP, "nix-darwin", "",
		"darwin-rebuild switch --flake /nowhere/repo#h1\n"},
	{"pull-switch", PROTOCOL_HTTP, "nixos", "",
		"git -C /nowhere/repo pull\nnixos-rebuild switch --flake /nowhere/repo#h1\n"},
	{"rollback", PROTOCOL_WEBSOCKET, "nixos", "", "nixos-rebuild --rollback switch\n"},
	{"force-rebuild", PROTOCOL_WEBSOCKET, "nixos", "",
		"git -C /nowhere/repo pull\n"
		"nix flake update nixfleet --flake /nowhere/repo --refresh\n"
		"nixos-rebuild switch --flake /nowhere/repo#h1 --refresh\n"},
	{"refresh-system", PROTOCOL_WEBSOCKET, "nixos", "",
		"nix build --dry-run --json --no-link "
		"/nowhere/repo#nixosConfigurations.h1.config.system.build.toplevel\n"},
	{"refresh-git", PROTOCOL_WEBSOCKET, "nixos", "https://git/x",
		"git -C /nowhere/repo fetch origin main\n"
		"git -C /nowhere/repo rev-list --count HEAD..origin/main\n"},
	{"restart", PROTOCOL_HTTP, "nixos", "", ""},
	{"lock-age", PROTOCOL_HTTP, "nixos", "",
		"git -C /nowhere/repo log -1 --format=%ct -- flake.lock\n"},
};

Test(steps, are_what_the_table_says_for_each_kind_of_host)
{
	char text[4096];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plan_command command = plan(
			cases[i].command, cases[i].protocol, cases[i].manager);
		command.repo_url = text_of(cases[i].repo_url);
		list(&command, NULL, text, sizeof(text));
		cr_expect(eq(str, text, (char *)cases[i].lines), "%s", cases[i].command);
	}
}

Test(steps, an_unchanged_lock_goes_straight_to_the_switch)
{
	char text[4096];
	struct plan_command command = plan("update", PROTOCOL_HTTP, "nixos");
	list(&command, NULL, text, sizeof(text));
	cr_assert(eq(str, text,
		"git -C /nowhere/repo diff --quiet HEAD -- flake.lock\n"
		"git -C /nowhere/repo update-ref refs/nixfleet/before HEAD\n"
		"nix flake update nixfleet --flake /nowhere/repo\n"
		"git -C /nowhere/repo diff --quiet -- flake.lock\n"
		"nixos-rebuild switch --flake /nowhere/repo#h1\n"));
}

Test(steps, a_lock_that_cannot_be_made_is_undone_and_nothing_is_switched)
{
	char text[4096];
	struct plan_command command = plan("update", PROTOCOL_HTTP, "nixos");
	list(&command, "lock", text, sizeof(text));
	cr_assert(eq(str, text,
		"git -C /nowhere/repo diff --quiet HEAD -- flake.lock\n"
		"git -C /nowhere/repo update-ref refs/nixfleet/before HEAD\n"
		"nix flake update nixfleet --flake /nowhere/repo\n"
		"git -C /nowhere/repo checkout HEAD -- flake.lock\n"));
}

Test(steps, without_a_repository_nothing_is_run_in_whatever_folder_it_is)
{
	char text[4096];
	struct plan_command command = plan("update", PROTOCOL_HTTP, "nixos");
	command.repo = TEXT_NONE;
	list(&command, NULL, text, sizeof(text));
	cr_assert(eq(str, text, ""));
}

Test(steps, a_value_brings_no_placeholder_and_no_second_argument_with_it)
{
	struct steps steps;
	struct step step;
	char reason[REASON_BYTES_MAX + 1];
	struct plan_command command = plan("switch", PROTOCOL_WEBSOCKET, "home-manager");
	command.repo = text_of("/a {host} b");
	steps_init(&steps, &command);
	cr_assert(eq(int, (int)steps_next(&steps, &step, reason), STEPS_NEXT));
	cr_assert(eq(str, step.argv[3], "/a {host} b#h1"));
	cr_assert(step.argv[4] == NULL);
	step_finish(&step);
	steps_finish(&steps);
}

Test(steps, a_command_that_is_nowhere_is_unknown)
{
	struct steps steps;
	struct step step;
	char reason[REASON_BYTES_MAX + 1];
	struct plan_command command = plan("../../bin/sh", PROTOCOL_HTTP, "nixos");
	steps_init(&steps, &command);
	cr_assert(eq(int, (int)steps_next(&steps, &step, reason), STEPS_FAILED));
	cr_assert(strstr(reason, "Unknown command") != NULL);
	steps_finish(&steps);
}

Test(ops, every_jump_has_somewhere_to_go)
{
	uint32_t count;
	const struct op *ops = ops_all(&count);
	for (uint32_t i = 0; i < count; i++) {
		for (const struct op_step *step = ops[i].steps; step->stage; step++) {
			const char *jumps[] = {step->recovery, step->good_jump, step->bad_jump};
			for (size_t at = 0; at < 3; at++) {
				const struct op_step *to = step + 1;
				while (jumps[at] && to->stage && strcmp(to->stage, jumps[at]) != 0)
					to++;
				bool is_there = jumps[at] == NULL || to->stage != NULL;
				cr_assert(is_there, "%s: %s", ops[i].name, jumps[at]);
			}
			cr_assert(step->failure != FAILURE_RECOVERS || step->recovery != NULL);
		}
	}
}
