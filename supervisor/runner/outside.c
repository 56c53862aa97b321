/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/runner/outside.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define LOOK_EVERY_MS 500
#define ANSWER_BYTES  512

/* What systemctl says of the unit, or nothing. It answers at once or not at all; the run's
 * processes are gone by now, so its child is the only one. */
static bool ask(const char *unit, char answer[ANSWER_BYTES])
{
	int ends[2], status = -1;
	*answer = '\0';
	if (pipe(ends) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("systemctl", "systemctl", "show", "-p", "ActiveState,Result,ExecMainStatus",
			unit, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	ssize_t size = pid > 0 ? fd_read_all(ends[0], answer, ANSWER_BYTES - 1) : 0;
	answer[size > 0 ? size : 0] = '\0';
	close(ends[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void outside_wait(struct run *run, const char *unit)
{
	char answer[ANSWER_BYTES];
	bool was_active = false;
	if (!unit || access("/run/systemd/system", F_OK) != 0)
		return;
	struct mono until = mono_after(mono_now(), ACTIVATION_WAIT_MS);
	while (run->asked != ASKED_INTERRUPT && !mono_reached(mono_now(), until) &&
		ask(unit, answer) &&
		(strstr(answer, "ActiveState=active") || strstr(answer, "ActiveState=activating") ||
			strstr(answer, "ActiveState=deactivating"))) {
		if (!was_active) {
			char line[256];
			int size = snprintf(
				line, sizeof(line), "activation continues in %s\n", unit);
			sink_take(&run->sink, run_ms(run), STREAM_RUNNER, line, (uint32_t)size);
		}
		was_active = true;
		run_attend(run, LOOK_EVERY_MS);
	}
	if (!was_active)
		return;
	if (run->asked == ASKED_INTERRUPT || mono_reached(mono_now(), until)) {
		run->outcome = run->asked == ASKED_INTERRUPT ? OUTCOME_INTERRUPTED
							     : OUTCOME_TIMED_OUT;
		snprintf(run->reason, sizeof(run->reason), "activation continues in %s", unit);
		return;
	}
	const char *code = strstr(answer, "ExecMainStatus=");
	bool is_good = strstr(answer, "Result=success") != NULL;
	run->outcome = OUTCOME_EXITED;
	run->code = is_good ? 0 : code ? strtol(code + 15, NULL, 10) : 1;
	if (!is_good && run->code == 0)
		run->code = 1;
	run->reason[0] = '\0';
	if (!is_good)
		snprintf(run->reason, sizeof(run->reason), "the activation in %s exited %d", unit,
			(int)run->code);
}
