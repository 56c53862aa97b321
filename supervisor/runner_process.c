/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Runners as processes: one per command, told by a plan on standard input, reporting on
 * descriptor 3. Looks are runners without a record. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/plan.h"
#include "proto/report.h"
#include "supervisor/helper.h"
#include "supervisor/ops.h"
#include "supervisor/platform.h"
#include "supervisor/shell.h"
#include "supervisor/spawn.h"

static enum protocol ops_protocol(const struct shell *shell)
{
	/* Standalone hosts have the WebSocket column's operations. */
	return shell->config.protocol == PROTOCOL_NONE ? PROTOCOL_WEBSOCKET
						       : shell->config.protocol;
}

static uint64_t deadline_of(const struct shell *shell, const char *command)
{
	const struct op *op = ops_find(text_of(command), ops_protocol(shell));
	return config_timeout_ms(
		&shell->config, command, op ? op->deadline_ms : OP_HOST_DEADLINE_MS);
}

static struct plan plan_of(const struct shell *shell, const char *run, const char *command,
	const char *runs_dir, uint64_t deadline_ms)
{
	const struct config *config = &shell->config;
	return (struct plan){.type = PLAN_COMMAND,
		.command = {
			.run = text_of(run),
			.command = text_of(command),
			.runs_dir = text_of(runs_dir),
			.ops_dir = text_of(config->ops_dir),
			.protocol = ops_protocol(shell),
			.host = text_of(config->host),
			.user = text_of(config->user),
			.home = text_of(config->home),
			.repo = text_of(config->repo_dir),
			.repo_url = text_of(config->repo_url),
			.branch = text_of(config->branch),
			.ssh_key = text_of(config->ssh_key),
			.manager = text_of(config->manager),
			.deadline_ms = deadline_ms,
			.grace_ms = config_timeout_ms(config, "GRACE", COMMAND_GRACE_MS),
		}};
}

/* A socket takes the whole plan before anybody reads it: PLAN_BYTES_MAX. */
static int write_plan(int fd, const struct plan *plan)
{
	struct bytes bytes;
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	int done = plan_encode(plan, &bytes);
	if (done == 0)
		done = fd_write_all(fd, bytes.data, bytes.size);
	/* The end of the plan is there before its reader is. */
	if (done == 0)
		done = shutdown(fd, SHUT_WR);
	bytes_finish(&bytes);
	return done;
}

/* The runner's pid and, in *report, our end of its report socket; -1 with errno and the call. */
static pid_t start_runner(
	struct shell *shell, const struct plan *plan, int *report, const char **call)
{
	char path[PATH_BYTES_MAX + 1];
	int input[2] = {-1, -1};
	int reports[2] = {-1, -1};
	pid_t pid = -1;
	*call = "nixfleet-runner";
	errno = ENOENT;
	if (helper_path(shell->config.libexec, "nixfleet-runner", path)) {
		*call = "socketpair";
		if (child_socketpair(input) == 0 && child_socketpair(reports) == 0) {
			*call = "plan";
			if (write_plan(input[0], plan) == 0) {
				*call = "fork";
				pid = spawn_helper(&(struct spawn){.path = path,
					.argv = (const char *const[]){"nixfleet-runner", NULL},
					.fds = {input[1], STDERR_FILENO, STDERR_FILENO, reports[1],
						-1}});
			}
		}
	}
	int kept = errno;
	fd_drop(&input[0]);
	fd_drop(&input[1]);
	fd_drop(&reports[1]);
	if (pid < 0)
		fd_drop(&reports[0]);
	*report = reports[0];
	errno = kept;
	return pid;
}

void runner_perform_start(struct shell *shell, uint32_t index)
{
	const struct rules_run *run = &shell->rules.runs[index];
	char runs_dir[PATH_BYTES_MAX + 1];
	const char *call = "too many runners";
	int report = -1;
	pid_t pid = -1;
	uint64_t deadline_ms = deadline_of(shell, run->command);
	snprintf(runs_dir, sizeof(runs_dir), "%.1000s/runs", shell->config.state_dir);
	errno = EAGAIN;
	/* An earlier runner may have said its result and not be gone yet; more than that is a bug.
	 */
	if (child_count(shell, CHILD_RUNNER) < 2) {
		struct plan plan = plan_of(shell, run->name, run->command, runs_dir, deadline_ms);
		pid = start_runner(shell, &plan, &report, &call);
	}
	if (pid < 0) {
		char why[160];
		snprintf(
			why, sizeof(why), "it could not be started: %s: %s", call, strerror(errno));
		struct rules_event *event = shell_post(shell, EVENT_RUNNER_EXITED, why);
		if (event)
			event->runner_exited.run = index;
		return;
	}
	child_add(shell, CHILD_RUNNER, pid, report)->run = index;
	struct rules_event *event = shell_post(shell, EVENT_RUNNER_STARTED, NULL);
	if (event) {
		event->runner_started.run = index;
		event->runner_started.pid = pid;
		event->runner_started.deadline_ms = deadline_ms;
	}
}

void runner_perform_kill(struct shell *shell, uint32_t run)
{
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		struct child *child = &shell->children[i];
		if (child->kind == CHILD_RUNNER && child->run == run && child->pid > 1) {
			log_error("the runner of %s hangs beyond every limit and is killed",
				shell->rules.runs[run].name);
			kill(child->pid, SIGKILL);
		}
	}
}

/* The runner is gone, or cannot be watched: the record says which. */
static void watch_ended(struct shell *shell, uint32_t run)
{
	struct rules_event *event = shell_post(shell, EVENT_RUNNER_EXITED, NULL);
	if (event)
		event->runner_exited.run = run;
}

void runner_perform_watch(struct shell *shell, uint32_t index)
{
	const struct rules_run *run = &shell->rules.runs[index];
	int fd = -1;
	if (child_count(shell, CHILD_ADOPTED) < SHELL_ADOPTED_MAX)
		fd = platform_watch_process(run->pid, run->start_ticks);
	if (fd < 0) {
		watch_ended(shell, index);
		return;
	}
	log_info("%s: its runner (pid %d) goes on", run->name, (int)run->pid);
	child_add(shell, CHILD_ADOPTED, run->pid, fd)->run = index;
}

void adopted_readable(struct child *child)
{
	struct shell *shell = child->shell;
	uint32_t run = child->run;
	child_remove(child);
	watch_ended(shell, run);
}

void adopted_exited(struct child *child, int status)
{
	(void)status; /* it came to us as an orphan */
	watch_ended(child->shell, child->run);
}

static void acted(struct shell *shell, uint32_t run, enum outcome outcome, int64_t code)
{
	char how[OUTCOME_TEXT_BYTES], why[OUTCOME_TEXT_BYTES + 32];
	outcome_text(outcome, code, how);
	snprintf(why, sizeof(why), "the action ended: %s", how);
	struct rules_event *event = shell_post(shell, EVENT_ACTED, why);
	event->acted.run = run;
	event->acted.outcome = outcome;
	event->acted.code = code;
}

static void look_failed(struct shell *shell, uint64_t request, struct text name)
{
	char copy[COMMAND_BYTES_MAX + 1];
	text_copy(name, copy, sizeof(copy));
	struct rules_event *event = shell_post(shell, EVENT_LOOK_ENDED, copy);
	if (!event)
		return;
	event->look_ended.request = request;
	event->look_ended.epoch = shell->rules.worker.epoch;
	event->look_ended.outcome = OUTCOME_REFUSED;
}

/* A runner without a record that is still there then hangs itself: what waits for its answer, be it
 * a command that must not begin beside a clone, goes on. */
static uint64_t look_limit(const struct plan *plan)
{
	return plan->command.deadline_ms + plan->command.grace_ms + TREE_EMPTY_MS +
	       RUNNER_OVERDUE_MS;
}

/* The action's runner has no record either: its failure is a line of the log. */
void action_perform(struct shell *shell, uint32_t index)
{
	const struct op *op = ops_action(text_of(shell->rules.runs[index].command));
	const char *call = "ops.def";
	int report = -1;
	pid_t pid = -1;
	struct plan plan = {0};
	errno = ENOENT;
	if (op && child_count(shell, CHILD_LOOK) > SHELL_LOOKS_MAX) {
		call = "the one before has not ended";
		errno = EBUSY;
	} else if (op) {
		plan = plan_of(shell, "action", op->name, "/", op->deadline_ms);
		plan.command.probe = true;
		pid = start_runner(shell, &plan, &report, &call);
	}
	if (pid < 0) {
		acted(shell, index, OUTCOME_REFUSED, 0);
		log_error("the action could not be started: %s: %s", call, strerror(errno));
		return;
	}
	struct child *child = child_add(shell, CHILD_LOOK, pid, report);
	child->run = index;
	child->kill_after_ms = look_limit(&plan);
}

void look_perform(struct shell *shell, uint64_t request, struct text name)
{
	const struct op *op = ops_find(name, ops_protocol(shell));
	const char *call;
	int report = -1;
	if (!op || op->class != OP_PROBE || child_count(shell, CHILD_LOOK) >= SHELL_LOOKS_MAX) {
		look_failed(shell, request, name);
		return;
	}
	struct plan plan = plan_of(shell, "look", op->name, "/", deadline_of(shell, op->name));
	plan.command.probe = true;
	pid_t pid = start_runner(shell, &plan, &report, &call);
	if (pid < 0) {
		log_warn("%s cannot be looked at: %s: %s", op->name, call, strerror(errno));
		look_failed(shell, request, name);
		return;
	}
	struct child *child = child_add(shell, CHILD_LOOK, pid, report);
	child->request = request;
	child->epoch = shell->rules.worker.epoch;
	child->kill_after_ms = look_limit(&plan);
	text_copy(name, child->text, sizeof(child->text));
}

static void take_result(struct child *child, const struct report_result *result)
{
	/* It has nothing left to do but to end, and must not hold the place for ever; but while
	 * something of its tree is there it stays, so that nothing starts beside that. */
	if (result->left == 0)
		child->kill_after_ms = mono_ms_since(mono_now(), child->started) +
				       RUNNER_OVERDUE_MS;
	struct rules_event event = shell_event(EVENT_RUNNER_REPORTED_RESULT);
	event.result.run = child->run;
	event.result.outcome = (enum outcome)result->outcome;
	event.result.code = result->code;
	event.result.reason = result->reason;
	event.result.summary = result->summary;
	event.result.is_kept = result->kept;
	shell_turn(child->shell, &event);
}

static void take_probed(struct child *child, const struct report_probed *probed)
{
	struct rules_event event = shell_event(EVENT_LOOK_ENDED);
	child->is_answered = true;
	if (child->run != RULES_NO_RUN) {
		acted(child->shell, child->run, (enum outcome)probed->outcome, probed->code);
		return;
	}
	event.look_ended.request = child->request;
	event.look_ended.epoch = child->epoch;
	event.look_ended.name = text_of(child->text);
	event.look_ended.outcome = (enum outcome)probed->outcome;
	event.look_ended.code = probed->code;
	event.look_ended.output = probed->output;
	shell_turn(child->shell, &event);
}

static void take_report(struct child *child, const struct report *report)
{
	struct rules_event event;
	switch (report->type) {
	case REPORT_STARTED:
		event = shell_event(EVENT_RUNNER_REPORTED_START);
		event.runner_started.run = child->run;
		if (child->kind == CHILD_RUNNER)
			shell_turn(child->shell, &event);
		break;
	case REPORT_RESULT:
		if (child->kind == CHILD_RUNNER)
			take_result(child, &report->result);
		break;
	case REPORT_PROBED:
		if (child->kind == CHILD_LOOK && !child->is_answered)
			take_probed(child, &report->probed);
		break;
	}
}

void runner_readable(struct child *child)
{
	struct text payload;
	struct report report;
	bool more = channel_receive(&child->channel);
	while (channel_next(&child->channel, &payload)) {
		if (report_decode(payload, &report) == SCHEMA_GOOD)
			take_report(child, &report);
		else
			log_error("a runner's report is not understood and is left out");
	}
	if (!more || child->channel.state == CHANNEL_VIOLATED)
		event_del(child->readable);
}

void runner_process_exited(struct child *child, int status)
{
	struct rules_event event = shell_event(EVENT_RUNNER_EXITED);
	char how[32], why[96] = "";
	exit_text(status, how);
	/* 126 and 127 are spawn_helper's own: nothing ran. */
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126))
		snprintf(why, sizeof(why), "nixfleet-runner could not be executed");
	else if (status != 0)
		log_warn("the runner of %s ended with %s",
			child->shell->rules.runs[child->run].name, how);
	event.runner_exited.run = child->run;
	event.runner_exited.why = text_of(why);
	shell_turn(child->shell, &event);
}

void look_process_exited(struct child *child, int status)
{
	(void)status;
	if (!child->is_answered && child->run != RULES_NO_RUN)
		acted(child->shell, child->run, OUTCOME_LOST, 0);
	else if (!child->is_answered)
		look_failed(child->shell, child->request, text_of(child->text));
}
