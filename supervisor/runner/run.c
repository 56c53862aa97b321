/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/url.h"
#include "supervisor/runner/process.h"
#include "supervisor/runner/verdict.h"

/* What a command leaves behind when it ended by itself gets this long to go. */
#define LEFTOVER_GRACE_MS 500

static void note(struct run *run, const struct record_frame *frame)
{
	/* Progress is for people; a record without room for it is no failure. */
	if (run->record_fd >= 0)
		(void)record_append(run->record_fd, &run->record, frame);
}

/* git is given the repository's URL, which may hold a password. */
static void note_step(struct run *run, const struct step *step)
{
	char line[REASON_BYTES_MAX + 1] = "", word[REASON_BYTES_MAX + 1];
	size_t at = 0;
	for (size_t i = 0; step->argv[i] && at + 1 < sizeof(line); i++) {
		url_without_account(step->argv[i], word, sizeof(word));
		int size = snprintf(line + at, sizeof(line) - at, "%s%s", i ? " " : "", word);
		at += size > 0 ? (size_t)size : 0;
	}
	note(run, &(struct record_frame){.type = RECORD_STEP,
			  .step = {.current = ++run->step_count,
				  .total = steps_total(&run->steps),
				  .stage = text_of(step->stage),
				  .line = text_of(line)}});
}

/* Stages only go forward: a build that begins after an activation's first line is none. */
static void note_progress(struct run *run, const struct progress *progress)
{
	if (run->progress.total == progress->total && run->progress.current >= progress->current)
		return;
	run->progress = *progress;
	note(run, &(struct record_frame){.type = RECORD_PROGRESS,
			  .progress = {.current = progress->current,
				  .total = progress->total,
				  .stage = text_of(progress->stage)}});
}

/* switch-to-configuration names the services that do not start. */
#define UNITS_FAILED "warning: the following units failed: "

void run_line(struct run *run, const char *line)
{
	struct progress progress;
	if (progress_of_line(run->stage, line, &progress))
		note_progress(run, &progress);
	if (strncmp(line, UNITS_FAILED, strlen(UNITS_FAILED)) == 0)
		snprintf(run->units, sizeof(run->units), "%s", line + strlen(UNITS_FAILED));
}

static void note_tests(struct run *run)
{
	note(run, &(struct record_frame){.type = RECORD_PROGRESS,
			  .progress = {.current = run->test_count,
				  .total = run->steps.script_count,
				  .passed = run->test_passed,
				  .stage = text_of(run->stage)}});
}

/* Reaps whatever ended; true when that was the step's own process. */
static bool reap(pid_t main, int *status)
{
	bool found = false;
	for (;;) {
		int got;
		pid_t pid = waitpid(-1, &got, WNOHANG);
		/* The signal that told of the end is taken: nothing would ask again soon. */
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return found;
		if (pid == main) {
			*status = got;
			found = true;
		}
	}
}

static struct ended ended_of(int status)
{
	if (WIFSIGNALED(status))
		return (struct ended){OUTCOME_SIGNALED, WTERMSIG(status)};
	return (struct ended){OUTCOME_EXITED, WEXITSTATUS(status)};
}

static void say(struct run *run, const char *text)
{
	sink_take(&run->sink, run_ms(run), STREAM_RUNNER, text, (uint32_t)strlen(text));
}

/* Names a few of the processes that outlived their command. */
static void list_leftovers(struct run *run)
{
	char line[512];
	if (!tree_list(&run->tree) || run->tree.count == 0)
		return;
	int at = snprintf(line, sizeof(line),
		"%u left-over process%s ended:", (unsigned)run->tree.count,
		run->tree.count == 1 ? " is" : "es are");
	for (uint32_t i = 0; i < run->tree.count && i < 8; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, " %s (%d)",
			run->tree.members[i].name, (int)run->tree.members[i].pid);
	snprintf(line + at, sizeof(line) - (size_t)at, "\n");
	say(run, line);
}

static enum outcome asked_outcome(enum run_asked asked)
{
	switch (asked) {
	case ASKED_CANCEL:
	case ASKED_KILL: return OUTCOME_CANCELLED;
	case ASKED_INTERRUPT: return OUTCOME_INTERRUPTED;
	case ASKED_NOTHING: break;
	}
	return OUTCOME_TIMED_OUT;
}

/* A step that cleans up has a time of its own, which nobody cuts short but the machine's end. */
static struct mono limit(const struct run *run)
{
	if (!run->is_outcome_fixed)
		return run->asked == ASKED_NOTHING ? run->deadline : (struct mono){0};
	return mono_after(
		run->cleaning, run->asked == ASKED_INTERRUPT ? INTERRUPT_CLEAN_MS : CLEANING_MS);
}

/* A stop of the service, or the machine's, may reach the command's processes before their runner
 * knows of it: what fails then was interrupted. */
static struct ended ended_by_itself(struct run *run, int status)
{
	struct ended ended = ended_of(status);
	bool is_good = ended.outcome == OUTCOME_EXITED && ended.code == 0;
	run_attend(run, 0);
	if (run->asked == ASKED_INTERRUPT && !run->is_outcome_fixed && !is_good)
		return (struct ended){OUTCOME_INTERRUPTED, 0};
	return ended;
}

/* Until the process ended and its output is read, or until somebody or the clock ends it. */
static struct ended watch(struct run *run, pid_t main)
{
	int status = 0;
	bool has_ended = false;
	struct mono held = MONO_NEVER;
	for (;;) {
		struct mono now = mono_now();
		if (!has_ended && reap(main, &status)) {
			has_ended = true;
			held = mono_after(now, OUTPUT_HELD_MS);
		}
		if (has_ended && run->output < 0 && run->error < 0)
			return ended_by_itself(run, status);
		struct mono due = mono_earlier(limit(run), held);
		if (has_ended && mono_reached(now, due)) {
			/* What this step left must not meddle with the next one. */
			list_leftovers(run);
			run_end_tree(run, run->asked != ASKED_KILL, LEFTOVER_GRACE_MS);
			return ended_by_itself(run, status);
		}
		if (mono_reached(now, due)) {
			struct ended ended = {asked_outcome(run->asked), 0};
			run_end_tree(run, run->asked != ASKED_KILL,
				run->asked == ASKED_INTERRUPT ? INTERRUPT_GRACE_MS
							      : run->plan.grace_ms);
			return ended;
		}
		run_attend(run, mono_ms_until(now, due));
	}
}

static bool run_step(struct run *run, const struct step *step, struct ended *ended)
{
	struct process process;
	run->sink.last_line[0] = '\0';
	run->is_killed = false;
	if (process_start(&process, step, &run->plan, &run->cgroup,
		    run->is_outcome_fixed ? run->trouble : run->reason) < 0)
		return false;
	run->output = process.output;
	run->error = process.error;
	*ended = watch(run, process.pid);
	/* Who was ended may have said why right before, faster than it was read. */
	run_drain(run);
	fd_drop(&run->output);
	fd_drop(&run->error);
	sink_end_line(&run->sink);
	note(run, &(struct record_frame){.type = RECORD_ENDED,
			  .ended = {.outcome = ended->outcome, .code = ended->code}});
	return true;
}

static void fix(struct run *run, const struct step *step, struct ended ended)
{
	run->outcome = ended.outcome;
	run->code = ended.code;
	run->is_outcome_fixed = true;
	run->cleaning = mono_now();
	explain_end(run, step, ended);
}

/* A git that was killed leaves its lock, and every later one would stumble over it. The lock is the
 * dead one's: had another git held it, ours would have failed at once. */
static void remove_lock(struct run *run, const struct step *step, int64_t since_ms)
{
	char path[PATH_BYTES_MAX + 32], line[PATH_BYTES_MAX + 64];
	struct stat info;
	snprintf(path, sizeof(path), "%.*s/.git/index.lock", TEXT_ARGS(run->plan.repo));
	if (!run->is_killed || strcmp(step_program(step), "git") != 0 || stat(path, &info) < 0 ||
		(int64_t)info.st_mtime * 1000 + 1000 < since_ms || unlink(path) < 0)
		return;
	snprintf(line, sizeof(line), "%s is removed: its git was killed\n", path);
	say(run, line);
}

static void note_trouble(struct run *run, const struct step *step, struct ended ended)
{
	char how[OUTCOME_TEXT_BYTES];
	outcome_text(ended.outcome, ended.code, how);
	if (!run->trouble[0])
		snprintf(run->trouble, sizeof(run->trouble),
			"cleaning up failed in step %.60s: %s%s%.120s", step->stage, how,
			run->sink.last_line[0] ? ": " : "", run->sink.last_line);
}

/* The outcome stands; what comes now only undoes what was begun. */
static bool judge_cleaning(struct run *run, const struct step *step, struct ended ended)
{
	bool is_good = ended.outcome == OUTCOME_EXITED && ended.code == 0;
	if (!is_good && step->failure != FAILURE_GOES_ON)
		note_trouble(run, step, ended);
	return ended.outcome == OUTCOME_EXITED || ended.outcome == OUTCOME_SIGNALED;
}

/* What the end of a step means for the run; false: it is over. */
static bool judge(struct run *run, const struct step *step, struct ended ended)
{
	bool is_good = ended.outcome == OUTCOME_EXITED && ended.code == 0;
	bool is_own = ended.outcome == OUTCOME_EXITED || ended.outcome == OUTCOME_SIGNALED;
	char line[256];
	if (run->is_outcome_fixed)
		return judge_cleaning(run, step, ended);
	if (!is_own) {
		fix(run, step, ended);
		/* While something of it still lives, undoing would be a race against it. */
		if (!step->recovery || run->proof.left_count > 0)
			return false;
		steps_jump(&run->steps, step->recovery);
		return true;
	}
	if (is_good) {
		if (step->good_jump)
			steps_jump(&run->steps, step->good_jump);
		return true;
	}
	switch (step->failure) {
	case FAILURE_STOPS: fix(run, step, ended); return false;
	case FAILURE_WARNS:
		snprintf(line, sizeof(line), "warning: %s failed, and the run goes on\n",
			step->stage);
		say(run, line);
		return true;
	case FAILURE_GOES_ON:
		if (step->bad_jump)
			steps_jump(&run->steps, step->bad_jump);
		return true;
	case FAILURE_RECOVERS:
		fix(run, step, ended);
		steps_jump(&run->steps, step->recovery);
		return true;
	}
	return false;
}

static void judge_test(struct run *run, const struct step *step, struct ended ended)
{
	char line[320];
	bool is_good = ended.outcome == OUTCOME_EXITED && ended.code == 0;
	run->test_count++;
	run->test_passed += is_good;
	snprintf(line, sizeof(line), "%.255s: %s\n", step->stage, is_good ? "pass" : "FAIL");
	say(run, line);
}

/* P/T pass, F fail: the form that the dashboards show. */
static void sum_tests(struct run *run)
{
	uint32_t total = run->steps.script_count, failed = total - run->test_passed;
	if (!run->steps.scripts)
		return;
	if (total == 0)
		snprintf(run->summary, sizeof(run->summary), "no tests");
	else if (failed == 0)
		snprintf(run->summary, sizeof(run->summary), "%u/%u pass", total, total);
	else
		snprintf(run->summary, sizeof(run->summary), "%u/%u pass, %u fail",
			run->test_passed, total, failed);
	if (run->outcome == OUTCOME_EXITED && failed > 0) {
		run->code = 1;
		snprintf(run->reason, sizeof(run->reason), "%u of %u tests failed", failed, total);
	}
}

/* `git: ok: up to date; lock: …` where there are several. */
static void add_answer(struct run *run, const char *part, const char *text)
{
	size_t at = strlen(run->summary);
	snprintf(run->summary + at, sizeof(run->summary) - at, "%s%s%s%.100s", at ? "; " : "",
		part ? part : "", part ? ": " : "", text);
}

/* What the output of a step is the answer to. */
static void answer(struct run *run, const struct step *step, struct ended ended)
{
	char text[SHORT_TEXT_BYTES_MAX + 1];
	struct text output = {(const char *)run->sink.head.data, run->sink.head.size};
	if (ended.outcome != OUTCOME_EXITED || (step->verdict == VERDICT_NONE && !step->part))
		return;
	if (ended.code != 0 && step->part) {
		snprintf(text, sizeof(text), "error: %.60s exited %d%s%.80s", step_program(step),
			(int)ended.code, run->sink.last_line[0] ? ": " : "", run->sink.last_line);
		add_answer(run, step->part, text);
	} else if (ended.code == 0 && step->verdict != VERDICT_NONE) {
		verdict_of(step->verdict, output.size ? output : TEXT_NONE, &run->plan,
			wall_ms(wall_now()) / 1000, text);
		add_answer(run, step->part, text);
		run->has_answer = true;
	}
}

/* An error that stands alone is the command's own; a failure that has no other answer is one. */
static void finish_answer(struct run *run)
{
	bool is_asked = false;
	for (const struct op_step *row = run->steps.op ? run->steps.op->steps : NULL;
		row && row->stage; row++)
		is_asked = is_asked || row->verdict != VERDICT_NONE;
	if (!is_asked)
		return;
	if (strncmp(run->summary, "error: ", 7) == 0 && run->outcome == OUTCOME_EXITED) {
		run->code = 1;
		snprintf(run->reason, sizeof(run->reason), "%s", run->summary + 7);
	} else if (!run->has_answer && *run->reason && !*run->summary) {
		snprintf(run->summary, sizeof(run->summary), "error: %.180s", run->reason);
	}
}

/* No process, no descriptor: the call that failed is the reason. */
static bool not_started(struct run *run, const struct step *step)
{
	if (run->is_outcome_fixed)
		return false;
	run->outcome = OUTCOME_REFUSED;
	run->is_outcome_fixed = true;
	run->cleaning = mono_now();
	if (step->recovery)
		steps_jump(&run->steps, step->recovery);
	return step->recovery != NULL;
}

static bool one_step(struct run *run, struct step *step)
{
	struct ended ended;
	int64_t since_ms = wall_ms(wall_now());
	struct progress progress;
	run->stage = step->stage;
	run->units[0] = '\0';
	note_step(run, step);
	if (!step->is_test && progress_of_step(step->stage, &progress))
		note_progress(run, &progress);
	if (step->verdict != VERDICT_NONE)
		sink_keep_head(&run->sink);
	if (step->is_test)
		note_tests(run);
	if (!run_step(run, step, &ended))
		return not_started(run, step);
	remove_lock(run, step, since_ms);
	if (step->is_test)
		judge_test(run, step, ended);
	answer(run, step, ended);
	return judge(run, step, ended);
}

static void add_reason(struct run *run, const char *more)
{
	size_t at = strlen(run->reason);
	if (*more)
		snprintf(run->reason + at, sizeof(run->reason) - at, "%s%.200s", at ? "; " : "",
			more);
}

void run_begin(struct run *run)
{
	run->started = mono_now();
	run->deadline = mono_after(run->started, run->plan.deadline_ms);
}

void run_steps(struct run *run)
{
	struct step step;
	char why[REASON_BYTES_MAX + 1] = "";
	enum steps_verdict verdict;
	run->outcome = OUTCOME_EXITED;
	steps_init(&run->steps, &run->plan);
	while ((verdict = steps_next(&run->steps, &step, why)) == STEPS_NEXT) {
		bool goes_on = one_step(run, &step);
		step_finish(&step);
		if (!goes_on)
			break;
	}
	if (verdict == STEPS_FAILED && !run->is_outcome_fixed) {
		run->code = 1;
		memcpy(run->reason, why, sizeof(run->reason));
	}
	if (run->steps.script_at > 0 || verdict == STEPS_DONE)
		sum_tests(run);
	finish_answer(run);
	if (run->asked != ASKED_INTERRUPT || run->proof.left_count == 0)
		run_end_tree(run, run->asked != ASKED_KILL, LEFTOVER_GRACE_MS);
	add_reason(run, run->trouble);
	add_reason(run, run->proof.left);
	steps_finish(&run->steps);
}
