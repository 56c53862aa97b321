/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/lone_runner.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/time.h"
#include "proto/frame.h"
#include "proto/output_reader.h"

#define LOOK_MS 5

static uint64_t now_ms(void)
{
	return mono_now().ns / NS_PER_MS;
}

void lone_runner_file(struct lone_runner *lone, const char *path, const char *content, int mode)
{
	char full[256];
	snprintf(full, sizeof(full), "%s/%s", lone->folder, path);
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	cr_assert(fd >= 0, "%s: %s", full, strerror(errno));
	cr_assert(fd_write_all(fd, content, strlen(content)) == 0);
	fchmod(fd, (mode_t)mode);
	close(fd);
}

void lone_runner_stub(struct lone_runner *lone, const char *name, const char *script)
{
	char path[128];
	snprintf(path, sizeof(path), "bin/%s", name);
	lone_runner_file(lone, path, script, 0755);
}

int lone_runner_shell(struct lone_runner *lone, const char *format, ...)
{
	char words[LONE_TEXT_BYTES], command[LONE_TEXT_BYTES * 2];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "cd %s && exec >>shell.log 2>&1; %s", lone->folder,
		words);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

void lone_runner_open(struct lone_runner *lone)
{
	*lone = (struct lone_runner){.reports = -1};
	snprintf(lone->folder, sizeof(lone->folder), "/tmp/nixfleet-lone-XXXXXX");
	cr_assert(mkdtemp(lone->folder) != NULL);
	chmod(lone->folder, 0755);
	snprintf(lone->mark, sizeof(lone->mark), "NIXTEST_MARK=%s", lone->folder + 19);
	/* Names of runs, and with them cgroups, are never used twice. */
	snprintf(lone->run, sizeof(lone->run), "20261123T170211Z-test-%s", lone->folder + 19);
	snprintf(lone->repo, sizeof(lone->repo), "%s/repo", lone->folder);
	snprintf(lone->runs, sizeof(lone->runs), "%s/runs", lone->folder);
	snprintf(lone->ops, sizeof(lone->ops), "%s/ops.d", lone->folder);
	cr_assert(lone_runner_shell(lone, "mkdir -p bin repo/hosts/h1/tests runs ops.d") == 0);
	lone->plan = (struct plan_command){.run = text_of(lone->run),
		.runs_dir = text_of(lone->runs),
		.ops_dir = text_of(lone->ops),
		.protocol = PROTOCOL_HTTP,
		.host = text_of("h1"),
		.user = text_of("tester"),
		.home = text_of(lone->folder),
		.repo = text_of(lone->repo),
		.repo_url = TEXT_NONE,
		.branch = text_of("main"),
		.ssh_key = TEXT_NONE,
		.manager = text_of("nixos"),
		.deadline_ms = 20000,
		.grace_ms = 1000};
}

static void make_record(struct lone_runner *lone)
{
	char path[256];
	struct record record = {.state = RECORD_EMPTY};
	snprintf(path, sizeof(path), "%s/%s.run", lone->runs, lone->run);
	own_fd fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && record_reserve(fd) == 0);
	cr_assert(record_append(fd, &record,
			  &(struct record_frame){.type = RECORD_ACCEPTED,
				  .accepted = {.sequence = 1,
					  .command = lone->plan.command,
					  .origin = ORIGIN_LOCAL,
					  .dashboard = TEXT_NONE}}) == 0);
}

_Noreturn static void become(struct lone_runner *lone, int plan, int reports)
{
	char program[512], path[512], home[128];
	char log[128];
	const char *build = getenv("NIXFLEET_BUILD");
	snprintf(program, sizeof(program), "%s/supervisor/runner/nixfleet-runner",
		build ? build : ".");
	snprintf(path, sizeof(path), "PATH=%s/bin:%s", lone->folder, getenv("PATH"));
	snprintf(home, sizeof(home), "HOME=%s", lone->folder);
	snprintf(log, sizeof(log), "%s/runner.log", lone->folder);
	char *variables[LONE_VARIABLES_MAX + 8] = {path, home, lone->mark,
		"ASAN_OPTIONS=detect_leaks=0", "GIT_CONFIG_GLOBAL=/dev/null", "TERM=dumb"};
	for (int i = 0; i < LONE_VARIABLES_MAX && lone->variables[i]; i++)
		variables[6 + i] = lone->variables[i];
	int errors = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(plan, 0);
	dup2(errors, 1);
	dup2(errors, 2);
	int high = fcntl(reports, F_DUPFD, 10);
	dup2(high, 3);
	close_range(4, ~0u, 0);
	char *argv[] = {lone->launcher, program, NULL};
	if (lone->launcher[0])
		execve(lone->launcher, argv, variables);
	else
		execve(program, argv + 1, variables);
	_exit(127);
}

void lone_runner_start(struct lone_runner *lone, const char *command)
{
	int input[2], reports[2];
	struct bytes bytes;
	lone->plan.command = text_of(command);
	if (!lone->plan.probe)
		make_record(lone);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) == 0);
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, reports) == 0);
	bytes_init(&bytes, FRAME_BYTES_MAX + FRAME_HEAD_BYTES);
	cr_assert(plan_encode(&(struct plan){.type = PLAN_COMMAND, .command = lone->plan},
			  &bytes) == 0);
	cr_assert(fd_write_all(input[0], bytes.data, bytes.size) == 0);
	bytes_finish(&bytes);
	close(input[0]);
	lone->pid = fork();
	cr_assert(lone->pid >= 0);
	if (lone->pid == 0)
		become(lone, input[1], reports[1]);
	close(input[1]);
	close(reports[1]);
	lone->reports = reports[0];
}

void lone_runner_await(struct lone_runner *lone, const char *path, uint64_t ms)
{
	char full[256];
	snprintf(full, sizeof(full), "%s/%s", lone->folder, path);
	for (uint64_t end = now_ms() + ms; access(full, F_OK) != 0; poll(NULL, 0, LOOK_MS))
		cr_assert(now_ms() < end, "%s does not appear", path);
}

void lone_runner_await_end(struct lone_runner *lone, uint64_t ms)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s.ctl", lone->runs, lone->run);
	for (uint64_t end = now_ms() + ms; access(path, F_OK) == 0; poll(NULL, 0, LOOK_MS))
		cr_assert(now_ms() < end, "the command does not end");
}

void lone_runner_say(struct lone_runner *lone, char byte)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s.ctl", lone->runs, lone->run);
	own_fd fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, &byte, 1) == 1, "%s: %s", path, strerror(errno));
}

static void read_reports(struct lone_runner *lone)
{
	struct frame frame;
	struct report report;
	uint32_t have = 0, at = 0;
	ssize_t got;
	while (lone->reports >= 0 && (got = recv(lone->reports, lone->room + have,
					      sizeof(lone->room) - have, MSG_DONTWAIT)) > 0)
		have += (uint32_t)got;
	while (frame_parse(lone->room + at, have - at, &frame) == FRAME_WHOLE) {
		cr_assert(report_decode(frame.payload, &report) == SCHEMA_GOOD);
		lone->report = report;
		lone->report_count++;
		at += frame.bytes;
	}
	fd_drop(&lone->reports);
}

int lone_runner_wait(struct lone_runner *lone, uint64_t ms)
{
	int status = 0;
	char path[256];
	for (uint64_t end = now_ms() + ms; waitpid(lone->pid, &status, WNOHANG) != lone->pid;
		poll(NULL, 0, LOOK_MS))
		cr_assert(now_ms() < end, "the runner does not end");
	lone->pid = 0;
	read_reports(lone);
	snprintf(path, sizeof(path), "%s/%s.run", lone->runs, lone->run);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		cr_assert(record_read(fd, &lone->record) == 0);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

void lone_runner_run(struct lone_runner *lone, const char *command)
{
	lone_runner_start(lone, command);
	lone_runner_wait(lone, 40000);
}

void lone_runner_output(struct lone_runner *lone, uint64_t stream, char *text, size_t room)
{
	static struct output_reader reader;
	struct output output;
	char path[256];
	size_t at = 0;
	snprintf(path, sizeof(path), "%s/%s.out", lone->runs, lone->run);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	output_reader_init(&reader, fd, 0);
	*text = '\0';
	while (fd >= 0 && output_reader_next(&reader, &output) == OUTPUT_READ) {
		if (output.type != OUTPUT_CHUNK || (stream && output.chunk.stream != stream))
			continue;
		for (uint32_t i = 0; i < output.chunk.bytes.size && at + 1 < room; i++)
			text[at++] = output.chunk.bytes.data[i];
		text[at] = '\0';
	}
}

void lone_runner_stages(struct lone_runner *lone, char text[LONE_TEXT_BYTES])
{
	char path[256];
	uint8_t data[RECORD_BYTES];
	struct frame frame;
	struct record_frame value;
	size_t at = 0;
	snprintf(path, sizeof(path), "%s/%s.run", lone->runs, lone->run);
	ssize_t size = fd_read_file(AT_FDCWD, path, data, sizeof(data));
	*text = '\0';
	for (ssize_t from = 0; from < size && frame_parse(data + from, (size_t)(size - from),
						      &frame) == FRAME_WHOLE;
		from += frame.bytes) {
		if (record_frame_decode(frame.payload, &value) != SCHEMA_GOOD ||
			value.type != RECORD_PROGRESS)
			continue;
		at += (size_t)snprintf(text + at, LONE_TEXT_BYTES - at, "%s%.*s %d/%d",
			at ? ", " : "", TEXT_ARGS(value.progress.stage),
			(int)value.progress.current, (int)value.progress.total);
	}
}

static bool is_marked(const struct lone_runner *lone, const char *pid)
{
	char path[64], data[32768];
	snprintf(path, sizeof(path), "/proc/%.12s/environ", pid);
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : fd_read_all(fd, data, sizeof(data));
	return size > 0 && memmem(data, (size_t)size, lone->mark, strlen(lone->mark)) != NULL;
}

static uint32_t each_marked(struct lone_runner *lone, int number, char *names)
{
	uint32_t count = 0;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		char path[64], name[32] = "";
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid <= 1 || pid == getpid() || !is_marked(lone, entry->d_name))
			continue;
		count++;
		if (number > 0)
			kill(pid, number);
		snprintf(path, sizeof(path), "/proc/%.12s/comm", entry->d_name);
		fd_read_file(AT_FDCWD, path, name, sizeof(name) - 1);
		name[strcspn(name, "\n")] = '\0';
		if (names)
			snprintf(names + strlen(names), LONE_TEXT_BYTES - strlen(names), "%s ",
				name);
	}
	if (proc)
		closedir(proc);
	return count;
}

uint32_t lone_runner_survivors(struct lone_runner *lone, char names[LONE_TEXT_BYTES])
{
	*names = '\0';
	return each_marked(lone, 0, names);
}

void lone_runner_close(struct lone_runner *lone)
{
	char command[128];
	if (!lone->folder[0])
		return;
	for (int pass = 0; pass < 100 && each_marked(lone, SIGKILL, NULL) > 0; pass++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		poll(NULL, 0, LOOK_MS);
	}
	fd_drop(&lone->reports);
	snprintf(command, sizeof(command), "rm -rf %s", lone->folder);
	if (!getenv("NIXTEST_KEEP"))
		cr_assert(system(command) == 0);
	*lone = (struct lone_runner){.reports = -1};
}
