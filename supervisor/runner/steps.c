/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "supervisor/runner/host_op.h"
#include "supervisor/runner/scripts.h"

static const struct {
	const char *name;
	size_t offset;
} placeholders[] = {
	{"{repo}", offsetof(struct plan_command, repo)},
	{"{host}", offsetof(struct plan_command, host)},
	{"{user}", offsetof(struct plan_command, user)},
	{"{branch}", offsetof(struct plan_command, branch)},
	{"{repo_url}", offsetof(struct plan_command, repo_url)},
};

static const struct text *placeholder_value(
	const struct plan_command *plan, const char *at, size_t *size)
{
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++) {
		*size = strlen(placeholders[i].name);
		if (strncmp(at, placeholders[i].name, *size) == 0)
			return (const void *)((const char *)plan + placeholders[i].offset);
	}
	return NULL;
}

/* The first placeholder in pattern that stands for nothing, or NULL. */
static const char *find_empty(const struct plan_command *plan, const char *pattern)
{
	for (; (pattern = strchr(pattern, '{')); pattern++) {
		size_t size;
		const struct text *value = placeholder_value(plan, pattern, &size);
		for (size_t i = 0; value && value->size == 0; i++) {
			if (strncmp(pattern, placeholders[i].name, strlen(placeholders[i].name)) ==
				0)
				return placeholders[i].name;
		}
	}
	return NULL;
}

/* One argument with its placeholders filled in. What is filled in is never looked at again, so a
 * value cannot bring a placeholder or a second argument with it. */
static char *expand(const struct plan_command *plan, const char *pattern)
{
	struct bytes text;
	bytes_init(&text, STEP_TEXT_MAX);
	int done = 0;
	while (*pattern && done == 0) {
		size_t size = 1;
		const struct text *value = *pattern == '{' ? placeholder_value(plan, pattern, &size)
							   : NULL;
		if (value)
			done = bytes_append(&text, value->data, value->size);
		else
			done = bytes_append(&text, pattern, (uint32_t)(size = 1));
		pattern += size;
	}
	if (done == 0)
		done = bytes_append(&text, "", 1);
	if (done < 0)
		bytes_finish(&text);
	return (char *)text.data;
}

/* A clone that broke off: git's folder without what makes it a repository. */
static bool is_corrupt(const struct plan_command *plan)
{
	char path[PATH_BYTES_MAX + 16];
	snprintf(path, sizeof(path), "%.*s/.git", TEXT_ARGS(plan->repo));
	return access(path, F_OK) == 0;
}

static bool is_repository(const struct plan_command *plan)
{
	char path[PATH_BYTES_MAX + 16];
	snprintf(path, sizeof(path), "%.*s/.git/HEAD", TEXT_ARGS(plan->repo));
	return access(path, F_OK) == 0;
}

static bool has_manager(const struct plan_command *plan, const char *manager, bool root)
{
	return text_is(plan->manager, manager) && (geteuid() == 0) == root;
}

static bool guard_holds(const struct plan_command *plan, enum op_guard guard)
{
	switch (guard) {
	case GUARD_NONE: return true;
	case GUARD_PLAIN: return plan->repo_url.size == 0;
	case GUARD_ISOLATED: return plan->repo_url.size > 0;
	case GUARD_ISOLATED_CORRUPT:
		return plan->repo_url.size > 0 && !is_repository(plan) && is_corrupt(plan);
	case GUARD_ISOLATED_MISSING: return plan->repo_url.size > 0 && !is_repository(plan);
	case GUARD_NIXOS_ROOT: return has_manager(plan, "nixos", true);
	case GUARD_NIXOS_USER: return has_manager(plan, "nixos", false);
	case GUARD_HOME_MANAGER: return text_is(plan->manager, "home-manager");
	case GUARD_DARWIN_ROOT: return has_manager(plan, "nix-darwin", true);
	case GUARD_DARWIN_USER: return has_manager(plan, "nix-darwin", false);
	case GUARD_ROOT: return geteuid() == 0;
	case GUARD_USER: return geteuid() != 0;
	}
	return false;
}

void steps_init(struct steps *steps, const struct plan_command *plan)
{
	*steps = (struct steps){
		.plan = plan, .op = ops_find(plan->command, (enum protocol)plan->protocol)};
	steps->is_host_op = steps->op == NULL;
}

void steps_finish(struct steps *steps)
{
	free(steps->scripts);
	steps->scripts = NULL;
}

void step_finish(struct step *step)
{
	for (size_t i = 0; i < OP_ARGV_MAX; i++)
		free(step->argv[i]);
	if (step->program >= 0)
		close(step->program);
	*step = (struct step){.program = -1};
}

static enum steps_verdict no_memory(char *reason)
{
	snprintf(reason, REASON_BYTES_MAX + 1, "no memory for its arguments");
	return STEPS_FAILED;
}

static enum steps_verdict next_script(struct steps *steps, struct step *step, char *reason)
{
	const char *name = steps->script_next;
	char path[STEP_TEXT_MAX];
	if (steps->script_at == steps->script_count) {
		steps->at++;
		return STEPS_DONE;
	}
	snprintf(path, sizeof(path), "%.*s/hosts/%.*s/tests/%s", TEXT_ARGS(steps->plan->repo),
		TEXT_ARGS(steps->plan->host), name);
	steps->script_at++;
	steps->script_next = name + strlen(name) + 1;
	step->stage = name;
	step->is_test = true;
	step->failure = FAILURE_GOES_ON;
	step->folder = steps->plan->repo.data;
	/* Over HTTP a test need not be executable. */
	uint32_t at = 0;
	if (access(path, X_OK) != 0 && !(step->argv[at++] = strdup("bash")))
		return no_memory(reason);
	step->argv[at] = strdup(path);
	return step->argv[at] ? STEPS_NEXT : no_memory(reason);
}

static enum steps_verdict next_host_op(struct steps *steps, struct step *step, char *reason)
{
	char path[STEP_TEXT_MAX];
	if (steps->is_done)
		return STEPS_DONE;
	steps->is_done = true;
	step->program = host_op_open(steps->plan, reason);
	if (step->program < 0)
		return STEPS_FAILED;
	snprintf(path, sizeof(path), "%.*s/%.*s", TEXT_ARGS(steps->plan->ops_dir),
		TEXT_ARGS(steps->plan->command));
	step->stage = "run";
	step->folder = "/";
	step->argv[0] = strdup(path);
	return step->argv[0] ? STEPS_NEXT : no_memory(reason);
}

static enum steps_verdict fill(
	struct steps *steps, const struct op_step *row, struct step *step, char *reason)
{
	step->stage = row->stage;
	step->failure = row->failure;
	step->recovery = row->recovery;
	step->good_jump = row->good_jump;
	step->bad_jump = row->bad_jump;
	step->verdict = row->verdict;
	step->part = row->part;
	step->says = row->says;
	step->folder = NULL;
	for (size_t i = 0; i < OP_ARGV_MAX && row->argv[i]; i++) {
		/* git -C "" would be the working directory, whatever that is. */
		const char *missing = find_empty(steps->plan, row->argv[i]);
		if (missing) {
			snprintf(reason, REASON_BYTES_MAX + 1, "%s is not configured on this host",
				missing);
			step_finish(step);
			return STEPS_FAILED;
		}
		step->argv[i] = expand(steps->plan, row->argv[i]);
		if (!step->argv[i])
			return no_memory(reason);
	}
	return STEPS_NEXT;
}

enum steps_verdict steps_next(struct steps *steps, struct step *step, char *reason)
{
	*step = (struct step){.program = -1};
	if (steps->is_host_op)
		return next_host_op(steps, step, reason);
	for (;;) {
		const struct op_step *row = &steps->op->steps[steps->at];
		if (!row->stage)
			return STEPS_DONE;
		if (row->kind == OP_TESTS) {
			if (!steps->scripts && scripts_list(steps->plan, &steps->scripts,
						       &steps->script_count, reason) < 0)
				return STEPS_FAILED;
			if (steps->script_at == 0)
				steps->script_next = steps->scripts;
			enum steps_verdict verdict = next_script(steps, step, reason);
			if (verdict == STEPS_DONE)
				continue;
			return verdict;
		}
		steps->at++;
		if (row->kind == OP_FAIL) {
			snprintf(reason, REASON_BYTES_MAX + 1, "%s", row->says);
			return STEPS_FAILED;
		}
		if (guard_holds(steps->plan, row->guard))
			return fill(steps, row, step, reason);
	}
}

void steps_jump(struct steps *steps, const char *stage)
{
	uint32_t at = steps->at;
	while (steps->op->steps[at].stage && strcmp(steps->op->steps[at].stage, stage) != 0)
		at++;
	check(steps->op->steps[at].stage != NULL);
	steps->at = at;
}

uint32_t steps_total(const struct steps *steps)
{
	uint32_t total = 0;
	if (steps->is_host_op)
		return 1;
	if (steps->script_count > 0)
		return steps->script_count;
	for (const struct op_step *row = steps->op->steps; row->stage; row++)
		total += row->kind == OP_PROGRAM && guard_holds(steps->plan, row->guard);
	return total;
}
