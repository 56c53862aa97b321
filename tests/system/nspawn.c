/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/nspawn.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOT_MS     60000
#define REBOOT_CODE 133 /* systemd-nspawn asks to be started again */

static int host_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int host_shell(const char *format, ...)
{
	char command[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

/* The machine's root, which outlives a test. */
static void root_path(char path[WORLD_TEXT_BYTES])
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (cache && *cache)
		snprintf(path, WORLD_TEXT_BYTES, "%s/nixfleet-test-root", cache);
	else
		snprintf(path, WORLD_TEXT_BYTES, "%s/.cache/nixfleet-test-root", home ? home : "");
}

/* Of the same release as this machine, so that its libraries fit. */
static bool make_root(void)
{
	char root[WORLD_TEXT_BYTES];
	root_path(root);
	return host_shell("d=%s; "
			  "mkdir -p ${d%%/*}; exec 9> $d.lock; flock 9; [ -e "
			  "$d/usr/lib/systemd/user/dbus.socket ] && "
			  "exit 0; . /etc/os-release; rm -rf $d.new; debootstrap --variant=minbase "
			  "--include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,"
			  "sudo $VERSION_CODENAME $d.new "
			  ">$d.log 2>&1 && rm -rf $d && mv $d.new $d",
		       root) == 0;
}

/* What the programs are linked with, besides what the system has. */
static bool copy_libraries(struct world *world)
{
	return host_shell("mkdir -p %s/lib && cd $NIXFLEET_BUILD && ldd supervisor/nixfleet-agent "
			  "supervisor/runner/nixfleet-runner worker/nixfleet-worker "
			  "supervisor/nfctl/nfctl | sed -n 's/.*=> \\(\\/[^ ]*\\).*/\\1/p' | sort "
			  "-u | "
			  "grep -vE '/(libc|libm|ld-linux[^/]*|libpthread|libdl|librt)\\.so' | "
			  "xargs -I{} cp -L {} %s/lib/",
		       world->folder, world->folder) == 0;
}

void nspawn_open(struct nspawn *nspawn, struct world *world)
{
	*nspawn = (struct nspawn){.world = world};
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can boot a machine");
	if (host_shell("for p in systemd-nspawn debootstrap nsenter ldd; do command -v $p; done "
		       ">/dev/null") != 0)
		cr_skip_test("skipped: systemd-nspawn or debootstrap is not installed");
	if (!make_root())
		cr_skip_test("skipped: debootstrap cannot make the system: see its log");
	world_open(world, NULL);
	cr_assert(copy_libraries(world));
	cr_assert(host_shell("chmod 0755 %s", world->folder) == 0);
}

void nspawn_bind(struct nspawn *nspawn, const char *file, const char *path)
{
	cr_assert(nspawn->bind_count < 8);
	snprintf(nspawn->binds[nspawn->bind_count++], WORLD_TEXT_BYTES, "--bind-ro=%s/%s:%s",
		nspawn->world->folder, file, path);
}

static void enter_group(struct nspawn *nspawn)
{
	char path[300];
	int fd;
	if (!nspawn->group[0])
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", nspawn->group);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(126);
	close(fd);
}

/* Our own cgroup, so that nothing of the machine's is left in anybody else's. */
static void make_group(struct nspawn *nspawn)
{
	char text[256] = "";
	FILE *pipe = popen(
		"m=$(grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f5 | head -1); "
		"echo $m$(sed -n s/^0:://p /proc/self/cgroup)",
		"r");
	if (pipe && fgets(text, sizeof(text), pipe))
		text[strcspn(text, "\n")] = '\0';
	if (pipe)
		pclose(pipe);
	snprintf(nspawn->group, sizeof(nspawn->group), "%.150s/nixtest-%.60s", text,
		nspawn->world->host);
	cr_assert(host_shell("mkdir %s", nspawn->group) == 0);
}

_Noreturn static void become(struct nspawn *nspawn)
{
	char path[WORLD_TEXT_BYTES], root[WORLD_TEXT_BYTES + 16];
	char bind[WORLD_TEXT_BYTES], build[WORLD_TEXT_BYTES], name[80];
	char *argv[32] = {"systemd-nspawn", root, "--volatile=overlay", "--register=no",
		"--keep-unit", "--private-network", "--console=pipe", name, bind, build};
	uint32_t count = 10;
	root_path(path);
	snprintf(root, sizeof(root), "--directory=%s", path);
	snprintf(name, sizeof(name), "--machine=%.60s", nspawn->world->host);
	snprintf(bind, sizeof(bind), "--bind=%s", nspawn->world->folder);
	snprintf(build, sizeof(build), "--bind-ro=%s", getenv("NIXFLEET_BUILD"));
	for (uint32_t i = 0; i < nspawn->bind_count; i++)
		argv[count++] = nspawn->binds[i];
	argv[count++] = "--boot";
	/* The world's folder lies in /tmp, which a boot would empty. */
	argv[count++] = "systemd.mask=systemd-tmpfiles-clean.timer";
	argv[count++] = "systemd.mask=systemd-tmpfiles-setup.service";
	for (char *word = strtok(nspawn->units, " "); word && count < 31; word = strtok(NULL, " "))
		argv[count++] = word;
	setenv("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1", 1);
	enter_group(nspawn);
	execvp(argv[0], argv);
	_exit(127);
}

/* Its first process, which changes with each boot: the child of systemd-nspawn's. */
static pid_t find_init(const struct nspawn *nspawn)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)nspawn->container,
		(int)nspawn->container);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return (pid_t)atoi(text);
}

static int run_inside(struct nspawn *nspawn, char **output, const char *words)
{
	char pid[16], log[WORLD_TEXT_BYTES];
	int status = 0, ends[2];
	size_t have = 0;
	pid_t init = find_init(nspawn);
	if (init <= 1)
		return 1000;
	snprintf(pid, sizeof(pid), "%d", (int)init);
	snprintf(log, sizeof(log), "%s/machine.log", nspawn->world->folder);
	cr_assert(pipe2(ends, O_CLOEXEC) == 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = output ? ends[1] : open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(fd, 1);
		dup2(fd, 2);
		execlp("nsenter", "nsenter", "-t", pid, "-a", "env", "-i",
			"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "sh", "-c", words,
			(char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	if (output) {
		ssize_t got;
		*output = calloc(1, 65536);
		while ((got = read(ends[0], *output + have, 65535 - have)) > 0)
			have += (size_t)got;
	}
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

int nspawn_shell(struct nspawn *nspawn, char **output, const char *format, ...)
{
	char words[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return run_inside(nspawn, output, words);
}

bool nspawn_until(struct nspawn *nspawn, uint64_t ms, const char *format, ...)
{
	char words[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	for (uint64_t end = world_ms() + ms; run_inside(nspawn, NULL, words) != 0;
		poll(NULL, 0, 50)) {
		if (world_ms() >= end)
			return false;
	}
	return true;
}

/* From here on this process, and the dashboard it starts, live in the machine's network. */
static void enter_network(struct nspawn *nspawn)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)find_init(nspawn));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && setns(fd, CLONE_NEWNET) == 0);
	close(fd);
	world_dashboard_start(nspawn->world, "");
}

static void start(struct nspawn *nspawn)
{
	char log[WORLD_TEXT_BYTES];
	snprintf(log, sizeof(log), "%s/boot.log", nspawn->world->folder);
	nspawn->container = fork();
	if (nspawn->container == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		int null = open("/dev/null", O_RDONLY);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close_range(3, ~0u, 0);
		become(nspawn);
	}
	bool is_up = nspawn_until(nspawn, BOOT_MS,
		"case \"$(systemctl is-system-running)\" in running|degraded) ;; *) exit 1;; esac");
	cr_assert(is_up, "the machine does not boot");
}

void nspawn_boot(struct nspawn *nspawn)
{
	make_group(nspawn);
	start(nspawn);
	nspawn->world->has_dashboard = true;
	enter_network(nspawn);
}

void nspawn_await_reboot(struct nspawn *nspawn)
{
	int status = 0;
	uint64_t end = world_ms() + BOOT_MS;
	while (waitpid(nspawn->container, &status, WNOHANG) != nspawn->container) {
		cr_assert(world_ms() < end, "the machine does not go down");
		poll(NULL, 0, 20);
	}
	nspawn->container = 0;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == REBOOT_CODE, "it was no reboot: %d",
		status);
	world_dashboard_stop(nspawn->world);
	start(nspawn);
	enter_network(nspawn);
}

void nspawn_close(struct nspawn *nspawn)
{
	char path[300];
	if (nspawn->container > 0) {
		snprintf(path, sizeof(path), "%s/cgroup.kill", nspawn->group);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			(void)!write(fd, "1", 1);
			close(fd);
		}
		kill(nspawn->container, SIGKILL);
		waitpid(nspawn->container, NULL, 0);
	}
	if (nspawn->group[0])
		host_shell("for i in $(seq 100); do find %s -depth -type d -exec rmdir {} ';' "
			   "2>/dev/null; [ -e %s ] || break; sleep 0.05; done",
			nspawn->group, nspawn->group);
	/* systemd-nspawn makes the same one in the older hierarchy of a hybrid machine. */
	if (nspawn->group[0])
		host_shell("m=$(grep ' - cgroup .*name=systemd' /proc/self/mountinfo | "
			   "cut -d' ' -f5 | head -1); [ -z \"$m\" ] || "
			   "find \"$m\" -path '*/%s*' -depth -type d -exec rmdir {} ';'",
			strrchr(nspawn->group, '/') + 1);
	*nspawn = (struct nspawn){0};
}
