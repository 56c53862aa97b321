/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/frame.h"
#include "proto/report.h"
#include "supervisor/isolation.h"
#include "supervisor/platform.h"
#include "supervisor/runner/journal.h"
#include "supervisor/runner/outside.h"
#include "supervisor/runner/run.h"

#define REPORT_FD    3
#define EXIT_REFUSED 1
#define EXIT_USAGE   64

/* The one thing a signal handler may touch: where to write its number. */
static int signal_pipe[2] = {-1, -1};

static void on_signal(int number)
{
	int kept = errno;
	unsigned char byte = (unsigned char)number;
	(void)!write(signal_pipe[1], &byte, 1);
	errno = kept;
}

static int catch_signals(struct run *run)
{
	static const int caught[] = {
		SIGCHLD, SIGTERM, SIGINT, SIGHUP, RUNNER_CANCEL_SIGNAL, RUNNER_KILL_SIGNAL};
	if (pipe(signal_pipe) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (fd_cloexec(signal_pipe[i], true) < 0 || fd_nonblocking(signal_pipe[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		struct sigaction action = {.sa_handler = on_signal,
			.sa_flags = caught[i] == SIGCHLD ? SA_NOCLDSTOP | SA_RESTART : SA_RESTART};
		sigaction(caught[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	run->signals = signal_pipe[0];
	return 0;
}

/* One frame on standard input. The texts of the plan point into room. */
static int read_plan(struct run *run, uint8_t *room, size_t size)
{
	struct frame frame;
	struct plan plan;
	ssize_t got = fd_read_all(STDIN_FILENO, room, size);
	if (got <= 0 || frame_parse(room, (size_t)got, &frame) != FRAME_WHOLE ||
		plan_decode(frame.payload, &plan) != SCHEMA_GOOD)
		return -1;
	run->plan = plan.command;
	return record_name_is_legal(run->plan.run) || run->plan.probe ? 0 : -1;
}

static void begin(struct run *run)
{
	run_begin(run);
	run->proof.method = "none";
	run->stage = "start";
}

/* An automatic look: no record; what it printed first goes up. */
static int look(struct run *run)
{
	struct bytes bytes;
	const struct op *op = ops_find(run->plan.command, (enum protocol)run->plan.protocol);
	begin(run);
	/* The action of an announced command is done whoever is left to hear of it. */
	run->is_look = op && op->class == OP_PROBE;
	sink_init(&run->sink, -1);
	sink_keep_head(&run->sink);
	run->cgroup.folder = -1;
	run_steps(run);
	struct report report = {.type = REPORT_PROBED,
		.probed = {.outcome = run->outcome,
			.code = run->code,
			.output = run->sink.head.size == 0
					  ? TEXT_NONE
					  : (struct text){(const char *)run->sink.head.data,
						    run->sink.head.size}}};
	bytes_init(&bytes, FRAME_BYTES_MAX);
	if (report_encode(&report, &bytes) == 0)
		(void)!write(run->report, bytes.data, bytes.size);
	bytes_finish(&bytes);
	sink_finish(&run->sink);
	return 0;
}

/* Only NixOS hands an activation to one: no other host's switch depends on what systemctl says. */
static const char *outside_unit(const struct run *run)
{
	const struct op *op = ops_find(run->plan.command, (enum protocol)run->plan.protocol);
	return op && text_is(run->plan.manager, "nixos") ? op->outside_unit : NULL;
}

static int command(struct run *run)
{
	begin(run);
	enum isolation isolation = isolation_find();
	if ((isolation == ISOLATION_SCOPE || isolation == ISOLATION_USER_SCOPE) &&
		!isolation_leave_service(isolation, run->plan.run))
		log_warn("no scope of its own could be made: a stop of the service would end this "
			 "command");
	if (journal_open(run) < 0)
		return EXIT_REFUSED;
	const char *unit = outside_unit(run);
	if (outside_is_free(run, unit)) {
		run_steps(run);
		outside_wait(run, unit);
	}
	journal_close(run);
	run_stay(run);
	cgroup_destroy(&run->cgroup);
	sink_finish(&run->sink);
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t room[FRAME_BYTES_MAX + FRAME_HEAD_BYTES];
	log_open("nixfleet-runner");
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("nixfleet-runner " NIXFLEET_VERSION);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		puts("usage: nixfleet-runner < PLAN\n\nRuns one command for nixfleet-agent, which "
		     "starts "
		     "it with a plan; it is of no use by hand.\nSee nixfleet-agent --help and "
		     "nfctl --help.");
		return 0;
	}
	struct run *run = calloc(1, sizeof(*run));
	if (argc > 1 || !run || isatty(STDIN_FILENO) || read_plan(run, room, sizeof(room)) < 0) {
		log_error("there is no plan on standard input: nixfleet-agent starts this program");
		free(run);
		return EXIT_USAGE;
	}
	run->report = fcntl(REPORT_FD, F_GETFD) < 0 ? -1 : REPORT_FD;
	run->control = run->output = run->error = run->record_fd = run->turn_fd = -1;
	if (run->report >= 0 &&
		(fd_cloexec(run->report, true) < 0 || fd_nonblocking(run->report) < 0))
		run->report = -1;
	setsid();
	if (platform_become_subreaper() < 0)
		log_debug("no subreaper: %s", strerror(errno));
	int code = catch_signals(run) < 0 ? EXIT_REFUSED
		   : run->plan.probe      ? look(run)
					  : command(run);
	free(run);
	return code;
}
