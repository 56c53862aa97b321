/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The control socket and nfctl, with honest and with hostile clients. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/channel.h"
#include "proto/control.h"
#include "tests/system/world.h"

static struct world world;

static void finish(void)
{
	world_close(&world);
}

TestSuite(control, .fini = finish, .timeout = 60);

static void begin(void)
{
	world_open(&world, NULL);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control.sock", world.folder);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Bound, and nobody listens. */
static int socket_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cr_assert(text_copy(text_of(path), address.sun_path, sizeof(address.sun_path)));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, bind(fd, (struct sockaddr *)&address, sizeof(address)), 0));
	return fd;
}

static uint32_t descriptors_of(pid_t pid)
{
	char path[64];
	uint32_t count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static bool answers(struct world *unused, void *data)
{
	(void)data;
	json_t *status = world_status(unused);
	json_decref(status);
	return status != NULL;
}

Test(control, s27_a_thousand_silent_clients_do_not_keep_an_honest_one_out)
{
	static int clients[1000];
	begin();
	uint32_t before = descriptors_of(world.agent);
	for (int i = 0; i < 1000; i++)
		clients[i] = connect_client();
	cr_assert(lt(u32, descriptors_of(world.agent), before + 17));
	/* The same user's places are taken by its own silent clients for two seconds at most. */
	cr_assert(world_until(&world, 3500, answers, NULL));
	for (int i = 0; i < 1000; i++) {
		if (clients[i] >= 0)
			close(clients[i]);
	}
	uint64_t start = world_ms();
	cr_assert(world_until(&world, 3500, answers, NULL));
	cr_assert(lt(u64, world_ms() - start, 3500));
}

static uint64_t microseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One status over a connection of its own, without a shell or nfctl between: microseconds. */
static uint64_t ask_status(void)
{
	struct channel channel;
	struct control answer = {.type = CONTROL_STATUS};
	struct text payload;
	uint64_t start = microseconds();
	int client = connect_client();
	cr_assert(ge(int, client, 0));
	channel_init(&channel, client);
	cr_assert(control_encode(&(struct control){.type = CONTROL_ASK_STATUS,
					 .ask_status = {.runs_max = 8}},
			  channel_out(&channel)) == 0);
	cr_assert(channel_flush(&channel));
	while (answer.type != CONTROL_DONE) {
		struct pollfd wait = {.fd = client, .events = POLLIN};
		cr_assert(poll(&wait, 1, 5000) == 1, "no answer in five seconds");
		cr_assert(channel_receive(&channel), "the connection ended");
		while (channel_next(&channel, &payload))
			cr_assert(control_decode(payload, &answer) == SCHEMA_GOOD);
	}
	channel_finish(&channel);
	return microseconds() - start;
}

static int by_size(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

Test(control, s27_status_takes_under_100_ms_while_silent_clients_crowd_in)
{
	static uint64_t took[1000];
	int silent[64];
	begin();
	for (int i = 0; i < 1000; i++) {
		int at = i % 64;
		if (i >= 64)
			close(silent[at]);
		silent[at] = connect_client();
		took[i] = ask_status();
	}
	for (int i = 0; i < 64; i++)
		close(silent[i]);
	qsort(took, 1000, sizeof(took[0]), by_size);
	cr_log_info("99 of 100 answers took at most %llu us", (unsigned long long)took[989]);
	cr_assert(lt(u64, took[989], 100000));
}

Test(control, s27_a_flood_of_bytes_is_not_stored)
{
	static char bytes[65536];
	begin();
	int client = connect_client();
	cr_assert(ge(int, client, 0));
	memset(bytes, 0x7f, sizeof(bytes));
	uint64_t sent = 0, end = world_ms() + 3000;
	/* A length over the maximum ends the connection at its first frame. */
	while (world_ms() < end) {
		ssize_t done = send(client, bytes, sizeof(bytes), MSG_NOSIGNAL);
		if (done > 0)
			sent += (uint64_t)done;
		else if (errno != EAGAIN)
			break;
	}
	cr_assert(lt(u64, sent, 4 * 1024 * 1024));
	close(client);
	cr_assert(answers(&world, NULL));
}

/* Milliseconds of the processor that it has used. */
static uint64_t used_ms(pid_t pid)
{
	char path[64];
	unsigned long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	cr_assert(file != NULL);
	int got = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&user, &system);
	fclose(file);
	cr_assert(eq(int, got, 2));
	return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

Test(control, s29_without_a_descriptor_for_a_client_the_agent_waits)
{
	struct rlimit all, none = {3, 3};
	begin();
	cr_assert(prlimit(world.agent, RLIMIT_NOFILE, NULL, &all) == 0);
	none.rlim_max = all.rlim_max;
	cr_assert(prlimit(world.agent, RLIMIT_NOFILE, &none, NULL) == 0);
	int client = connect_client();
	cr_assert(ge(int, client, 0));
	uint64_t before = used_ms(world.agent);
	poll(NULL, 0, 2000);
	uint64_t used = used_ms(world.agent) - before;
	cr_assert(lt(u64, used, 200), "%lu ms of 2000", (unsigned long)used);
	cr_assert(prlimit(world.agent, RLIMIT_NOFILE, &all, NULL) == 0);
	cr_assert(world_until(&world, 3000, answers, NULL));
	close(client);
}

Test(control, s27_another_user_may_look_but_not_touch)
{
	char command[WORLD_TEXT_BYTES * 2];
	if (geteuid() != 0)
		cr_skip_test("skipped: another user needs root");
	begin();
	snprintf(command, sizeof(command),
		"chmod 755 %s && cp $NIXFLEET_BUILD/supervisor/nfctl/nfctl %s/nfctl", world.folder,
		world.folder);
	cr_assert(eq(int, system(command), 0));
	snprintf(command, sizeof(command),
		"setpriv --reuid 65534 --regid 65534 --clear-groups %s/nfctl --socket "
		"%s/run/control.sock "
		"status > /dev/null",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
	snprintf(command, sizeof(command),
		"setpriv --reuid 65534 --regid 65534 --clear-groups %s/nfctl --socket "
		"%s/run/control.sock "
		"run pull 2>&1 | grep -q 'not allowed'",
		world.folder, world.folder);
	cr_assert(eq(int, system(command), 0));
}

/* A child answers who does not read; the other one's connection is not the child's to keep open. */
Test(control, s27_a_client_that_is_turned_away_is_not_held_by_another_ones_answer)
{
	char byte;
	struct bytes bytes;
	begin();
	int silent = connect_client();
	cr_assert(ge(int, silent, 0));
	poll(NULL, 0, 200);
	int asking = connect_client();
	bytes_init(&bytes, FRAME_BYTES_MAX);
	cr_assert(control_encode(&(struct control){.type = CONTROL_ASK_FLIGHT,
					 .ask_flight = {.most = 1024 * 1024}},
			  &bytes) == 0);
	cr_assert(write(asking, bytes.data, bytes.size) == (ssize_t)bytes.size);
	bytes_finish(&bytes);
	struct pollfd wait = {.fd = silent, .events = POLLIN};
	cr_assert(eq(int, poll(&wait, 1, 8000), 1));
	cr_assert(eq(int, (int)read(silent, &byte, 1), 0));
	close(asking);
}

/* A supervisor that is stopped accepts nobody: whoever asks for its status must be told so, also
 * when as many as the kernel queues have asked before. */
Test(control, a_stopped_agent_keeps_nobody_waiting)
{
	char *output;
	begin();
	kill(world.agent, SIGSTOP);
	for (int i = 0; i < 2; i++) {
		uint64_t start = world_ms();
		int code = world_nfctl(&world, "status", &output);
		cr_assert(lt(u64, world_ms() - start, 10000), "%s", output);
		cr_assert(eq(int, code, i == 0 ? 2 : 3), "%s", output);
		cr_assert(strstr(output, "did not answer") || strstr(output, "nobody answers"),
			"%s", output);
		free(output);
		for (int client = 0; client < 64; client++)
			connect_client();
	}
	kill(world.agent, SIGCONT);
	cr_assert(world_until(&world, 5000, answers, NULL));
}

Test(control, s27_a_removed_socket_is_made_again)
{
	char path[WORLD_TEXT_BYTES], command[WORLD_TEXT_BYTES + 16];
	struct stat info;
	begin();
	snprintf(path, sizeof(path), "%s/run/control.sock", world.folder);
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(world_until(&world, 2000, answers, NULL), "%s", world_log(&world));
	cr_assert(eq(int, stat(path, &info), 0));
	cr_assert(eq(u32, info.st_mode & 0777, 0666));
	/* With its folder, more than once. */
	snprintf(command, sizeof(command), "rm -r %s/run", world.folder);
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, system(command), 0));
		cr_assert(world_until(&world, 2000, answers, NULL), "%s", world_log(&world));
	}
	cr_assert(eq(int, world_agent_stop(&world), 0));
	cr_assert(eq(int, access(path, F_OK), -1));
}

/* A socket without a listener is what a killed agent left; anything else is somebody's. */
Test(control, only_a_socket_is_replaced_at_the_start)
{
	char path[WORLD_TEXT_BYTES];
	struct stat info;
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/run", world.folder);
	cr_assert(eq(int, mkdir(path, 0755), 0));
	world_file(&world, "run/control.sock", "mine", 0600);
	world_agent_start(&world);
	cr_assert(eq(int, world_agent_wait(&world, 10000), 111));
	char *log = world_log(&world);
	cr_assert(strstr(log, "run/control.sock: it is no socket: File exists") != NULL, "%s", log);
	free(log);
	snprintf(path, sizeof(path), "%s/run/control.sock", world.folder);
	cr_assert(eq(int, stat(path, &info), 0));
	cr_assert(eq(i64, info.st_size, 4));
	cr_assert(eq(int, unlink(path), 0));
	close(socket_at(path));
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
}

/* Two that listened in turn at one path would never end. */
Test(control, s27_what_took_the_sockets_place_is_left_alone)
{
	char path[WORLD_TEXT_BYTES], mine[WORLD_TEXT_BYTES];
	begin();
	snprintf(path, sizeof(path), "%s/run/control.sock", world.folder);
	snprintf(mine, sizeof(mine), "%s/run/mine", world.folder);
	world_file(&world, "run/mine", "mine", 0600);
	cr_assert(eq(int, rename(mine, path), 0));
	usleep(500000);
	cr_assert(eq(int, access(path, F_OK), 0));
	struct stat info;
	cr_assert(eq(int, stat(path, &info), 0));
	cr_assert(eq(i64, info.st_size, 4));
	/* Until it goes. */
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(world_until(&world, 2000, answers, NULL), "%s", world_log(&world));
	/* A stop removes it no more than a start does. */
	world_file(&world, "run/mine", "mine", 0600);
	cr_assert(eq(int, rename(mine, path), 0));
	cr_assert(eq(int, world_agent_stop(&world), 0));
	cr_assert(eq(int, access(path, F_OK), 0));
}

/* The folder that is watched is the one at the path, whichever that is. */
Test(control, s27_a_folder_that_was_exchanged_is_watched_too)
{
	char path[WORLD_TEXT_BYTES], run[WORLD_TEXT_BYTES], other[WORLD_TEXT_BYTES];
	begin();
	snprintf(run, sizeof(run), "%s/run", world.folder);
	snprintf(other, sizeof(other), "%s/other", world.folder);
	snprintf(path, sizeof(path), "%s/run/control.sock", world.folder);
	cr_assert(eq(int, mkdir(other, 0755), 0));
	world_file(&world, "other/control.sock", "mine", 0600);
	cr_assert(eq(int, renameat2(AT_FDCWD, run, AT_FDCWD, other, RENAME_EXCHANGE), 0));
	usleep(500000);
	struct stat info;
	cr_assert(eq(int, stat(path, &info), 0));
	cr_assert(eq(i64, info.st_size, 4));
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(world_until(&world, 2000, answers, NULL), "%s", world_log(&world));
}

static void fill_pipe(const char *path)
{
	static const char bytes[4096];
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	close(fd);
}

/* Whoever reads the log may hang, with a disk that does: a pipe stands for a journal's socket here.
 */
Test(control, a_log_that_nobody_reads_holds_nothing_up)
{
	char text[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(text, sizeof(text), "#!/bin/sh\nmkfifo %s/log; exec 2<>%s/log; exec \"$@\"\n",
		world.folder, world.folder);
	world_file(&world, "launch", text, 0755);
	snprintf(world.launcher, sizeof(world.launcher), "%s/launch", world.folder);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	snprintf(text, sizeof(text), "%s/log", world.folder);
	fill_pipe(text);
	for (int i = 0; i < 50; i++) {
		kill(world.agent, SIGHUP);
		usleep(10000);
	}
	uint64_t start = world_ms();
	cr_assert(world_until(&world, 2000, answers, NULL));
	cr_assert(lt(u64, world_ms() - start, 2000));
	/* What was left out is counted once there is room again. */
	snprintf(text, sizeof(text),
		"timeout 1 cat %s/log >/dev/null; kill -HUP %d; timeout 1 cat %s/log | grep -q ' "
		"lines were lost'",
		world.folder, (int)world.agent, world.folder);
	cr_assert(eq(int, system(text), 0));
}

/* The older unit makes no runtime folder: the socket is in the state folder, of which no variable
 * of a person's says anything. */
Test(control, the_agent_of_the_older_unit_is_found)
{
	char command[WORLD_TEXT_BYTES];
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can cover /var/lib");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", "/var/lib", "tmpfs", 0, NULL) < 0)
		cr_skip_test("skipped: no mount namespace here: %s", strerror(errno));
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_RUNTIME_DIR", "/var/lib/nixfleet-agent/run");
	world_agent_start(&world);
	snprintf(command, sizeof(command), "%s/run", world.folder);
	cr_assert(eq(int, symlink("/var/lib/nixfleet-agent/run", command), 0));
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"), "%s", world_log(&world));
	cr_assert(eq(int, system("env -i $NIXFLEET_BUILD/supervisor/nfctl/nfctl status"), 0));
	cr_assert(eq(int,
		system("env -i RUNTIME_DIRECTORY=/var/lib/nixfleet-agent/run:/run/other "
		       "$NIXFLEET_BUILD/supervisor/nfctl/nfctl status"),
		0));
}

Test(control, run_waits_and_exits_with_the_commands_code)
{
	char *output;
	world_open(&world, NULL);
	world_stub(&world, "nixos-rebuild", "#!/bin/sh\necho hello from the build\nexit 5\n");
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	cr_assert(eq(int, world_nfctl(&world, "run switch --wait", &output), 5), "%s", output);
	cr_assert(strstr(output, "hello from the build") != NULL, "%s", output);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "logs", &output), 0));
	cr_assert(strstr(output, "hello from the build") != NULL, "%s", output);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "run dance", &output), 2));
	cr_assert(strstr(output, "Unknown command: dance") != NULL, "%s", output);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "logs no-such-run", &output), 2));
	free(output);
}

Test(control, an_operation_of_the_hosts_own_runs_and_one_others_can_write_does_not)
{
	char *output, path[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/ops.d", world.folder);
	mkdir(path, 0755);
	world_file(&world, "ops.d/greet", "#!/bin/sh\necho greetings\n", 0755);
	world_file(&world, "ops.d/open", "#!/bin/sh\necho never\n", 0777);
	world_file(&world, "ops.d/pull", "#!/bin/sh\necho never\n", 0755);
	world_set(&world, "NIXFLEET_OPS_DIR", "%s", path);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	cr_assert(eq(int, world_nfctl(&world, "run greet --wait", &output), 0), "%s", output);
	cr_assert(strstr(output, "greetings") != NULL, "%s", output);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "run open --wait", &output), 2), "%s", output);
	free(output);
	char *log = world_log(&world);
	cr_assert(strstr(log, "ops.d/open is not used: others can write to it") != NULL, "%s", log);
	cr_assert(strstr(log, "ops.d/pull is not used: a command of the agent's own") != NULL);
	free(log);
}

Test(control, usage_is_64_with_a_hint_and_help_is_0)
{
	char *output;
	world_open(&world, NULL);
	cr_assert(eq(int, world_nfctl(&world, "status", &output), 3));
	cr_assert(strstr(output, "the agent is not running") != NULL, "%s", output);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "status --loud", &output), 64));
	cr_assert(strstr(output, "see nfctl --help") != NULL);
	free(output);
	cr_assert(eq(int, world_nfctl(&world, "--help", &output), 0));
	cr_assert(strstr(output, "usage: nfctl") != NULL);
	free(output);
}

Test(control, s28_foreign_and_torn_records_are_set_aside_by_name)
{
	char path[WORLD_TEXT_BYTES];
	world_open(&world, NULL);
	snprintf(path, sizeof(path), "%s/state/runs", world.folder);
	chmod(world.folder, 0700);
	snprintf(path, sizeof(path), "%s/state", world.folder);
	chmod(path, 0700);
	snprintf(path, sizeof(path), "%s/state/runs", world.folder);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	world_file(&world, "state/runs/20260101T000000Z-pull-0001.run", "garbage", 0600);
	world_file(&world, "state/runs/20260101T000000Z-pull-0002.run", "", 0600);
	world_file(&world, "state/runs/notes.txt", "mine", 0600);
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	char *output;
	cr_assert(eq(int, world_nfctl(&world, "run pull --wait", &output) != 3, 1));
	free(output);
	char *log = world_log(&world);
	cr_assert(strstr(log, "20260101T000000Z-pull-0001") != NULL, "%s", log);
	free(log);
	snprintf(path, sizeof(path), "%s/state/runs/notes.txt", world.folder);
	cr_assert(eq(int, access(path, F_OK), 0));
}

Test(control, own_commands_in_a_folder_that_others_can_write_to_are_not_offered)
{
	char path[WORLD_TEXT_BYTES], *said;
	world_open(&world, NULL);
	world_set(&world, "NIXFLEET_OPS_DIR", "%s/bin", world.folder);
	world_stub(&world, "mine", "#!/bin/sh\nexit 0\n");
	snprintf(path, sizeof(path), "%s/bin", world.folder);
	cr_assert(eq(int, chmod(path, 0777), 0));
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	cr_assert(ne(int, world_nfctl(&world, "run mine", &said), 0));
	cr_assert(strstr(said, "Unknown command: mine") != NULL, "%s", said);
	free(said);
	world_agent_stop(&world);
	cr_assert(eq(int, chmod(path, 0755), 0));
	world_agent_start(&world);
	cr_assert(world_until(&world, 10000, world_status_is, "health=0"));
	cr_assert(eq(int, world_nfctl(&world, "run mine --wait", &said), 0), "%s", said);
	free(said);
}
