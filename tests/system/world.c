/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/world.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 10

uint64_t world_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool world_until(struct world *world, uint64_t ms, bool (*holds)(struct world *world, void *data),
	void *data)
{
	uint64_t end = world_ms() + ms;
	do {
		if (holds(world, data))
			return true;
		poll(NULL, 0, LOOK_MS);
	} while (world_ms() < end);
	return holds(world, data);
}

static const char *build(void)
{
	const char *folder = getenv("NIXFLEET_BUILD");
	cr_assert(folder != NULL, "NIXFLEET_BUILD names the build folder");
	return folder;
}

/* A path below the world's folder; good until the fourth call after. */
static const char *in(const struct world *world, const char *name)
{
	static char paths[4][WORLD_TEXT_BYTES];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, WORLD_TEXT_BYTES, "%s/%s", world->folder, name);
	return path;
}

void world_file(struct world *world, const char *path, const char *content, int mode)
{
	int fd = open(in(world, path), O_WRONLY | O_CREAT | O_TRUNC, mode);
	cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
	ssize_t size = (ssize_t)strlen(content);
	cr_assert(write(fd, content, (size_t)size) == size);
	fchmod(fd, (mode_t)mode);
	close(fd);
}

void world_stub(struct world *world, const char *name, const char *script)
{
	char path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "bin/%s", name);
	world_file(world, path, script, 0755);
}

static void remove_variable(struct world *world, const char *name)
{
	size_t size = strlen(name);
	for (uint32_t i = 0; i < world->variable_count; i++) {
		if (strncmp(world->variables[i], name, size) != 0 ||
			world->variables[i][size] != '=')
			continue;
		free(world->variables[i]);
		world->variables[i] = world->variables[--world->variable_count];
		return;
	}
}

void world_set(struct world *world, const char *name, const char *format, ...)
{
	char value[WORLD_TEXT_BYTES];
	va_list args;
	remove_variable(world, name);
	if (!format)
		return;
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	cr_assert(world->variable_count < WORLD_VARIABLES_MAX - 1);
	cr_assert(asprintf(&world->variables[world->variable_count++], "%s=%s", name, value) > 0);
}

/* Starts a program with the world's mark; log is a file below the folder. */
static pid_t start(
	struct world *world, char *const argv[], char *const variables[], const char *log)
{
	int fd = open(in(world, log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	pid_t parent = getpid();
	pid_t pid = fork();
	cr_assert(pid >= 0 && fd >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		int null = open("/dev/null", O_RDONLY);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close_range(3, ~0u, 0);
		signal(SIGPIPE, SIG_DFL);
		execve(argv[0], argv, variables);
		_exit(127);
	}
	close(fd);
	return pid;
}

static bool has_port(struct world *world, void *unused)
{
	char text[16] = "";
	int fd = open(in(world, "port"), O_RDONLY | O_CLOEXEC);
	(void)unused;
	if (fd < 0)
		return false;
	ssize_t size = read(fd, text, sizeof(text) - 1);
	close(fd);
	world->port = size > 0 ? atoi(text) : 0;
	return world->port > 0;
}

void world_dashboard_start(struct world *world, const char *options)
{
	char program[WORLD_TEXT_BYTES], words[WORLD_TEXT_BYTES], listen[32];
	char *argv[32] = {program, "--listen", listen, "--port-file", NULL, "--log", NULL,
		"--token", "shared-token"};
	char port_file[WORLD_TEXT_BYTES], log[WORLD_TEXT_BYTES];
	uint32_t count = 9;
	snprintf(program, sizeof(program), "%s/tests/dashboard/nixfleet-dashboard", build());
	snprintf(listen, sizeof(listen), "127.0.0.1:%d", world->port);
	snprintf(port_file, sizeof(port_file), "%s", in(world, "port"));
	snprintf(log, sizeof(log), "%s", in(world, "requests"));
	snprintf(words, sizeof(words), "%s", options);
	argv[4] = port_file;
	argv[6] = log;
	for (char *word = strtok(words, " "); word && count < 31; word = strtok(NULL, " "))
		argv[count++] = word;
	char *variables[] = {world->mark, NULL};
	unlink(port_file);
	world->dashboard = start(world, argv, variables, "dashboard.log");
	cr_assert(world_until(world, 10000, has_port, NULL), "the dashboard does not start");
}

static int wait_for(pid_t pid, uint64_t ms)
{
	int status;
	for (uint64_t end = world_ms() + ms; world_ms() <= end; poll(NULL, 0, 2)) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return -1;
}

void world_dashboard_stop(struct world *world)
{
	if (world->dashboard > 0) {
		kill(world->dashboard, SIGKILL);
		wait_for(world->dashboard, 5000);
	}
	world->dashboard = 0;
}

static void make_repository(struct world *world)
{
	char command[WORLD_TEXT_BYTES * 2];
	snprintf(command, sizeof(command),
		"exec >%s/git.log 2>&1; cd %s && mkdir -p bin state repo/hosts/%s/tests && "
		"git init -q -b main repo && cd repo && echo '{}' > flake.lock && git add -A && "
		"git -c user.name=t -c user.email=t@example.org commit -q -m first && "
		"git clone -q --bare . ../remote.git && git remote add origin ../remote.git && "
		"git fetch -q && git branch -q -u origin/main",
		world->folder, world->folder, world->host);
	cr_assert(system(command) == 0, "the repository cannot be made");
}

void world_open(struct world *world, const char *dashboard_options)
{
	const char *path = getenv("PATH");
	*world = (struct world){0};
	snprintf(world->folder, sizeof(world->folder), "/tmp/nixfleet-test-XXXXXX");
	cr_assert(mkdtemp(world->folder) != NULL);
	snprintf(world->host, sizeof(world->host), "t%d-%s", (int)getpid(),
		world->folder + strlen(world->folder) - 6);
	/* Dashboards lower-case the names of hosts. */
	for (char *at = world->host; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	snprintf(world->mark, sizeof(world->mark), "NIXTEST_MARK=%s", world->host);
	make_repository(world);
	if (dashboard_options) {
		world->has_dashboard = true;
		world_dashboard_start(world, dashboard_options);
		world_set(world, "NIXFLEET_URL", "http://127.0.0.1:%d", world->port);
		world_set(world, "NIXFLEET_ALLOW_INSECURE_HTTP", "1");
		world_set(world, "NIXFLEET_TOKEN", "shared-token");
	}
	world_set(world, "NIXTEST_MARK", "%s", world->host);
	world_set(world, "PATH", "%s/bin:%s", world->folder, path ? path : "/usr/bin:/bin");
	world_set(world, "HOME", "%s", world->folder);
	world_set(world, "NIXFLEET_HOSTNAME", "%s", world->host);
	world_set(world, "NIXFLEET_STATE_DIR", "%s/state", world->folder);
	world_set(world, "NIXFLEET_RUNTIME_DIR", "%s/run", world->folder);
	world_set(world, "NIXFLEET_REPO_DIR", "%s/repo", world->folder);
	world_set(world, "NIXFLEET_INTERVAL", "0.2");
	world_set(world, "NIXFLEET_RECONNECT_SPREAD", "0.2");
	world_set(world, "NIXFLEET_LOG_LEVEL", "debug");
	world_set(world, "GIT_CONFIG_GLOBAL", "/dev/null");
	const char *libexec = getenv("NIXFLEET_LIBEXEC");
	if (libexec)
		snprintf(world->libexec, sizeof(world->libexec), "%s", libexec);
	const char *asan = getenv("ASAN_OPTIONS");
	world_set(world, "ASAN_OPTIONS", "%s", asan ? asan : "detect_leaks=0");
}

void world_agent_start(struct world *world)
{
	char program[WORLD_TEXT_BYTES];
	char *argv[] = {world->launcher, program, "--config", "/dev/null", NULL};
	snprintf(program, sizeof(program), "%s/supervisor/nixfleet-agent", build());
	if (world->libexec[0])
		world_set(world, "NIXFLEET_LIBEXEC", "%s", world->libexec);
	world->variables[world->variable_count] = NULL;
	world->agent = start(
		world, world->launcher[0] ? argv : argv + 1, world->variables, "agent.log");
}

int world_agent_wait(struct world *world, uint64_t ms)
{
	int code = wait_for(world->agent, ms);
	cr_assert(code >= 0, "the agent does not end");
	world->agent = 0;
	return code;
}

int world_agent_stop(struct world *world)
{
	kill(world->agent, SIGTERM);
	return world_agent_wait(world, 15000);
}

char *world_log(struct world *world)
{
	struct stat info;
	int fd = open(in(world, "agent.log"), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) < 0)
		return strdup("");
	char *text = calloc(1, (size_t)info.st_size + 1);
	cr_assert(text && read(fd, text, (size_t)info.st_size) >= 0);
	close(fd);
	return text;
}

static bool environment_has(const char *pid, const char *needle)
{
	char path[64], data[65536];
	snprintf(path, sizeof(path), "/proc/%.12s/environ", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, data, sizeof(data));
	if (fd >= 0)
		close(fd);
	return size > 0 && memmem(data, (size_t)size, needle, strlen(needle)) != NULL;
}

static void add_name(const char *pid, char *names)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof(path), "/proc/%.12s/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	name[size > 0 ? size - 1 : 0] = '\0';
	size_t used = strlen(names);
	snprintf(names + used, WORLD_TEXT_BYTES - used, "%s(%s) ", name, pid);
}

uint32_t world_survivors(struct world *world, const char *needle, char *names)
{
	uint32_t count = 0;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	if (names)
		*names = '\0';
	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid <= 1 || pid == getpid() || pid == world->agent || pid == world->dashboard ||
			!environment_has(entry->d_name, needle))
			continue;
		count++;
		if (names)
			add_name(entry->d_name, names);
	}
	if (proc)
		closedir(proc);
	return count;
}

/* Whatever bears our mark is ours. */
static void end_all(struct world *world)
{
	for (int pass = 0; pass < 50; pass++) {
		uint32_t found = 0;
		const struct dirent *entry;
		DIR *proc = opendir("/proc");
		while (proc && (entry = readdir(proc))) {
			pid_t pid = (pid_t)atoi(entry->d_name);
			if (pid > 1 && pid != getpid() &&
				environment_has(entry->d_name, world->mark)) {
				kill(pid, SIGKILL);
				found++;
			}
		}
		if (proc)
			closedir(proc);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (found == 0)
			return;
		poll(NULL, 0, LOOK_MS);
	}
}

/* Those of its agents that were killed; a clean exit removes its own. */
static void remove_locks(const struct world *world)
{
	char path[WORLD_TEXT_BYTES];
	const struct passwd *account = getpwuid(getuid());
	if (getuid() == 0)
		snprintf(path, sizeof(path), "/run/nixfleet-agent/agent-%s.lock", world->host);
	else
		snprintf(path, sizeof(path), "%s/.local/state/nixfleet-agent/agent-%s.lock",
			account ? account->pw_dir : "", world->host);
	unlink(path);
}

void world_own_mounts(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("skipped: only root can have mounts of its own");
}

void world_close(struct world *world)
{
	char command[WORLD_TEXT_BYTES];
	if (!world->folder[0])
		return;
	end_all(world);
	remove_locks(world);
	for (uint32_t i = 0; i < world->variable_count; i++)
		free(world->variables[i]);
	snprintf(command, sizeof(command), "rm -rf %s", world->folder);
	/* Kept for looking into, when somebody asks for it. */
	if (!getenv("NIXTEST_KEEP"))
		cr_assert(system(command) == 0);
	*world = (struct world){0};
}
