/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Each try in a process of its own, which has entered the sandbox. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/sandbox.h"

static int try_exec(void)
{
	char *argv[] = {"true", NULL};
	return execv("/bin/true", argv);
}

static int try_create(void)
{
	return open("/tmp/nixfleet-sandbox-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int try_write(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int try_unlink(void)
{
	return unlink("/tmp/nixfleet-sandbox-nothing");
}

static int try_steal_signals(void)
{
	return fcntl(STDIN_FILENO, F_SETOWN, getpid());
}

/* As a function that calls libc, or else as the call itself: headers may not know it yet. */
struct attempt {
	const char *what;
	int (*perform)(void);
	long number;
	long arguments[5];
	int error;
	const char *report;
};

#define DENIED(number, name, ...)                                  \
	{                                                          \
		name, NULL, number, {__VA_ARGS__}, EPERM,          \
			"violation: the sandbox denies " name "\n" \
	}

/* Harmless without a sandbox, too: the arguments are nonsense. */
static const struct attempt attempts[] = {
	{"exec", try_exec, 0, {0}, EPERM, "violation: the sandbox denies execve\n"},
	{"create", try_create, 0, {0}, EPERM, "violation: the sandbox denies openat for writing\n"},
	{"write", try_write, 0, {0}, EPERM, "violation: the sandbox denies openat for writing\n"},
	{"unlink", try_unlink, 0, {0}, EPERM, "violation: the sandbox denies unlink"},
	{"own", try_steal_signals, 0, {0}, EPERM,
		"violation: the sandbox denies fcntl for signals\n"},
	{"openat2", NULL, SYS_openat2, {AT_FDCWD}, ENOSYS, ""},
	DENIED(SYS_kill, "kill", INT32_MAX, 0),
	DENIED(SYS_tgkill, "tgkill of another process", INT32_MAX, INT32_MAX, 0),
	DENIED(SYS_tkill, "tkill of another process", INT32_MAX, 0),
	DENIED(SYS_mount, "mount", 0, 0, 0, 0, 0),
	DENIED(SYS_ptrace, "ptrace", PTRACE_ATTACH, INT32_MAX),
	DENIED(SYS_setgid, "setgid", -1),
	DENIED(438, "pidfd_getfd", -1, -1, 0),
	DENIED(440, "process_madvise", -1, 0, 0, 0, 0),
	DENIED(442, "mount_setattr", -1, 0, 0, 0, 0),
	DENIED(448, "process_mrelease", -1, 0),
	DENIED(452, "fchmodat2", -1, 0, 0, 0),
	DENIED(463, "setxattrat", -1, 0, 0, 0, 0),
	DENIED(466, "removexattrat", -1, 0, 0, 0),
	DENIED(SYS_removexattr, "removexattr", 0, 0),
	DENIED(SYS_lremovexattr, "lremovexattr", 0, 0),
	DENIED(SYS_fremovexattr, "fremovexattr", -1, 0),
	DENIED(SYS_prlimit64, "prlimit64 of another process", INT32_MAX, RLIMIT_CORE, 0, 0),
	DENIED(SYS_fcntl, "fcntl for signals", -1, F_SETOWN, 0),
	DENIED(SYS_fcntl, "fcntl for signals", -1, F_SETSIG, 0),
	DENIED(SYS_fcntl, "fcntl for signals", -1, F_SETOWN_EX, 0),
	DENIED(SYS_ioctl, "ioctl for signals or input", -1, FIOSETOWN, 0),
	DENIED(SYS_ioctl, "ioctl for signals or input", -1, SIOCSPGRP, 0),
	DENIED(SYS_ioctl, "ioctl for signals or input", -1, TIOCSTI, 0),
	DENIED(SYS_ioctl, "ioctl for signals or input", -1, TIOCLINUX, 0),
};

static long try(const struct attempt *attempt)
{
	const long *with = attempt->arguments;
	return attempt->perform
		       ? attempt->perform()
		       : syscall(attempt->number, with[0], with[1], with[2], with[3], with[4]);
}

/* What the child said on standard error; its exit code in *code. */
static void in_sandbox(const struct attempt *attempt, int *code, char *said, size_t room)
{
	int ends[2];
	int status = 0;
	cr_assert(pipe(ends) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		if (!sandbox_enter())
			_exit(77);
		errno = 0;
		long done = try(attempt);
		_exit(done == -1 && errno == attempt->error ? 0 : 1);
	}
	close(ends[1]);
	ssize_t size = read(ends[0], said, room - 1);
	said[size > 0 ? size : 0] = '\0';
	close(ends[0]);
	cr_assert(waitpid(pid, &status, 0) == pid);
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

Test(sandbox, denies_and_reports_what_a_worker_never_does)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		char said[512];
		int code;
		in_sandbox(&attempts[i], &code, said, sizeof(said));
		if (code == 77)
			cr_skip_test("skipped: the kernel has no filters for system calls");
		cr_expect(eq(int, code, 0), "%s: %d, %s", attempts[i].what, code, said);
		cr_expect(strstr(said, attempts[i].report) != NULL, "%s: said '%s'",
			attempts[i].what, said);
	}
}

static void *in_thread(void *unused)
{
	struct addrinfo *found = NULL;
	(void)unused;
	/* Name services read their configuration and may ask sockets of the system's. */
	int done = getaddrinfo("localhost", "80", NULL, &found);
	if (done == 0)
		freeaddrinfo(found);
	return done == 0 ? unused : NULL;
}

static int use(void)
{
	char word[16];
	int unread = 0;
	struct rlimit limit;
	pthread_t thread;
	void *result = NULL;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || ioctl(fd, FIONREAD, &unread) < 0 ||
		getrlimit(RLIMIT_CORE, &limit) < 0 ||
		prlimit(getpid(), RLIMIT_CORE, NULL, &limit) < 0 ||
		syscall(SYS_tkill, getpid(), 0) < 0 || /* musl's abort() calls it */
		read(fd, word, sizeof(word)) <= 0 ||
		pthread_create(&thread, NULL, in_thread, word) != 0 ||
		pthread_join(thread, &result) != 0 || result != word)
		return 0;
	errno = EPERM; /* as in_sandbox wants it */
	return -1;
}

Test(sandbox, leaves_threads_files_and_names_usable)
{
	char said[512];
	int code;
	in_sandbox(&(struct attempt){.perform = use, .error = EPERM}, &code, said, sizeof(said));
	if (code == 77)
		cr_skip_test("skipped: the kernel has no filters for system calls");
	cr_assert(eq(int, code, 0), "%s", said);
}

static int abort_now(void)
{
	signal(SIGABRT, SIG_DFL);
	abort();
}

Test(sandbox, lets_a_failed_check_end_the_process)
{
	char said[512];
	int code;
	in_sandbox(&(struct attempt){.perform = abort_now}, &code, said, sizeof(said));
	if (code == 77)
		cr_skip_test("skipped: the kernel has no filters for system calls");
	cr_assert(eq(int, code, 1000 + SIGABRT), "%s", said);
}
