/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "supervisor/platform.h"
#include "supervisor/runner/environment.h"

static void default_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void enter_folder(const struct step *step, const struct plan_command *plan)
{
	char path[PATH_BYTES_MAX + 1];
	text_copy(plan->repo, path, sizeof(path));
	/* A repository that is still to be cloned is no place to be. */
	if ((step->folder && strcmp(step->folder, "/") == 0) || !*path || chdir(path) < 0) {
		text_copy(plan->home, path, sizeof(path));
		if (!*path || chdir(path) < 0)
			(void)!chdir("/");
	}
}

_Noreturn static void become(const struct step *step, const struct plan_command *plan, pid_t runner,
	int output, int error)
{
	setpgid(0, 0);
	/* What a command's dead runner leaves is found by its record. */
	if (plan->probe && !platform_die_with_parent(runner))
		_exit(126);
	default_signals();
	umask(022);
	int input = open("/dev/null", O_RDONLY);
	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
		dup2(error, STDERR_FILENO) < 0)
		_exit(126);
	int program = step->program < 0 ? -1 : dup2(step->program, STDERR_FILENO + 1);
	platform_close_from(program < 0 ? STDERR_FILENO + 1 : STDERR_FILENO + 2);
	environment_set(plan);
	enter_folder(step, plan);
	if (program >= 0) {
		/* An interpreter opens its script by this descriptor, so it stays open. */
		extern char **environ;
		platform_execute(program, step->argv, environ);
	} else {
		execvp(step->argv[0], step->argv);
	}
	dprintf(STDERR_FILENO, "%s could not be started: %s\n", step->argv[0], strerror(errno));
	_exit(127);
}

static int make_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -1;
	if (fd_cloexec(ends[0], true) < 0 || fd_cloexec(ends[1], true) < 0 ||
		fd_nonblocking(ends[0]) < 0)
		return -1;
	platform_widen_pipe(ends[1]);
	return 0;
}

int process_start(struct process *process, const struct step *step, const struct plan_command *plan,
	const struct cgroup *cgroup, char *reason)
{
	int output[2] = {-1, -1}, error[2] = {-1, -1};
	pid_t runner = getpid();
	*process = (struct process){.pid = -1, .output = -1, .error = -1};
	const char *call = "pipe";
	if (make_pipe(output) == 0 && make_pipe(error) == 0) {
		call = "fork";
		process->pid = cgroup_fork(cgroup);
		if (process->pid == 0)
			become(step, plan, runner, output[1], error[1]);
	}
	int kept = errno;
	fd_drop(&output[1]);
	fd_drop(&error[1]);
	if (process->pid < 0) {
		fd_drop(&output[0]);
		fd_drop(&error[0]);
		snprintf(reason, REASON_BYTES_MAX + 1, "%.100s could not be started: %s: %s",
			step->argv[0], call, strerror(kept));
		return -1;
	}
	process->output = output[0];
	process->error = error[0];
	return 0;
}
