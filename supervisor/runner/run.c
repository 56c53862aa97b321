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
#include "supervisor/runner/process.h"

/* What a command leaves behind when it ended by itself gets this long to go. */
#define LEFTOVER_GRACE_MS 500

struct ended {
	enum outcome outcome;
	int64_t code;
};

static void note(struct run *run, const struct record_frame *frame)
{
	/* Progress is for people; a record without room for it is no failure. */
	if (run->record_fd >= 0)
		(void)record_append(run->record_fd, &run->record, frame);
}

static void note_step(struct run *run, const struct step *step)
{
	char line[REASON_BYTES_MAX + 1] = "";
	size_t at = 0;
	for (size_t i = 0; step->argv[i] && at + 1 < sizeof(line); i++) {
		int size = snprintf(
			line + at, sizeof(line) - at, "%s%s", i ? " " : "", step->argv[i]);
		at += size > 0 ? (size_t)size : 0;
	}
	note(run, &(struct record_frame){.type = RECORD_STEP,
			  .step = {.current = ++run->step_count,
				  .total = steps_total(&run->steps),
				  .stage = text_of(step->stage),
				  .line = text_of(line)}});
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
	int got;
	for (pid_t pid; (pid = waitpid(-1, &got, WNOHANG)) > 0;) {
		if (pid == main) {
			*status = got;
			found = true;
		}
	}
	return found;
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
			return ended_of(status);
		if (mono_reached(now, held)) {
			/* What this step left must not meddle with the next one. */
			list_leftovers(run);
			run_end_tree(run, run->asked != ASKED_KILL, LEFTOVER_GRACE_MS);
			return ended_of(status);
		}
		if (!has_ended && mono_reached(now, limit(run))) {
			struct ended ended = {asked_outcome(run->asked), 0};
			run_end_tree(run, run->asked != ASKED_KILL,
				run->asked == ASKED_INTERRUPT ? INTERRUPT_GRACE_MS
							      : run->plan.grace_ms);
			return ended;
		}
		run_attend(run, mono_ms_until(now, mono_earlier(limit(run), held)));
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
	fd_drop(&run->output);
	fd_drop(&run->error);
	sink_end_line(&run->sink);
	note(run, &(struct record_frame){.type = RECORD_ENDED,
			  .ended = {.outcome = ended->outcome, .code = ended->code}});
	return true;
}

static const char *program_of(const struct step *step)
{
	const char *name = step->argv[0];
	/* Whose word counts is the program behind sudo. */
	if (strcmp(name, "sudo") == 0 && step->argv[1] && step->argv[2])
		name = step->argv[2];
	return strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
}

static void explain(struct run *run, const struct step *step, struct ended ended)
{
	char how[OUTCOME_TEXT_BYTES], proof[160] = "";
	const char *last = run->sink.last_line;
	outcome_text(ended.outcome, ended.code, how);
	proof_text(&run->proof, proof, sizeof(proof));
	switch (ended.outcome) {
	case OUTCOME_EXITED:
		if (step->says && ended.code == 1)
			snprintf(run->reason, sizeof(run->reason), "%s", step->says);
		else if (ended.code == 127 && *last)
			snprintf(run->reason, sizeof(run->reason), "%s", last);
		else
			snprintf(run->reason, sizeof(run->reason), "%.60s %s%s%.280s",
				program_of(step), how, *last ? ": " : "", last);
		break;
	case OUTCOME_SIGNALED:
		snprintf(run->reason, sizeof(run->reason),
			"%.60s was ended by signal %d (%s)%s%.200s", program_of(step),
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

static void fix(struct run *run, const struct step *step, struct ended ended)
{
	run->outcome = ended.outcome;
	run->code = ended.code;
	run->is_outcome_fixed = true;
	run->cleaning = mono_now();
	explain(run, step, ended);
}

/* A git that was killed leaves its lock, and every later one would stumble over it. The lock is the
 * dead one's: had another git held it, ours would have failed at once. */
static void remove_lock(struct run *run, const struct step *step, int64_t since_ms)
{
	char path[PATH_BYTES_MAX + 32], line[PATH_BYTES_MAX + 64];
	struct stat info;
	snprintf(path, sizeof(path), "%.*s/.git/index.lock", TEXT_ARGS(run->plan.repo));
	if (!run->is_killed || strcmp(program_of(step), "git") != 0 || stat(path, &info) < 0 ||
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
	case FAILURE_GOES_ON: return true;
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
	run->stage = step->stage;
	note_step(run, step);
	if (step->is_test)
		note_tests(run);
	if (!run_step(run, step, &ended))
		return not_started(run, step);
	remove_lock(run, step, since_ms);
	if (step->is_test)
		judge_test(run, step, ended);
	return judge(run, step, ended);
}

static void add_reason(struct run *run, const char *more)
{
	size_t at = strlen(run->reason);
	if (*more)
		snprintf(run->reason + at, sizeof(run->reason) - at, "%s%.200s", at ? "; " : "",
			more);
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
	if (run->asked != ASKED_INTERRUPT || run->proof.left_count == 0)
		run_end_tree(run, run->asked != ASKED_KILL, LEFTOVER_GRACE_MS);
	add_reason(run, run->trouble);
	add_reason(run, run->proof.left);
	steps_finish(&run->steps);
}
