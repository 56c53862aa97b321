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
#include <sys/mount.h>
#include <sys/ptrace.h>
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

static int try_signal(void)
{
	return kill(getppid(), 0);
}

static int try_unlink(void)
{
	return unlink("/tmp/nixfleet-sandbox-nothing");
}

static int try_mount(void)
{
	return mount("none", "/mnt", "tmpfs", 0, "");
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int try_user(void)
{
	return setgid(getgid());
}

static int try_openat2(void)
{
	return (int)syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, (size_t)0);
}

static const struct {
	const char *what;
	int (*attempt)(void);
	int error;
	const char *report;
} rows[] = {
	{"exec", try_exec, EPERM, "violation: the sandbox denies execve"},
	{"create", try_create, EPERM, "violation: the sandbox denies openat for writing"},
	{"write", try_write, EPERM, "violation: the sandbox denies openat for writing"},
	{"signal", try_signal, EPERM, "violation: the sandbox denies kill"},
	{"unlink", try_unlink, EPERM, "violation: the sandbox denies unlink"},
	{"mount", try_mount, EPERM, "violation: the sandbox denies mount"},
	{"ptrace", try_ptrace, EPERM, "violation: the sandbox denies ptrace"},
	{"user", try_user, EPERM, "violation: the sandbox denies setgid"},
	{"openat2", try_openat2, ENOSYS, ""},
};

/* What the child said on standard error; its exit code in *code. */
static void in_sandbox(int (*attempt)(void), int error, int *code, char *said, size_t room)
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
		int done = attempt();
		_exit(done == -1 && errno == error ? 0 : 1);
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[512];
		int code;
		in_sandbox(rows[i].attempt, rows[i].error, &code, said, sizeof(said));
		if (code == 77)
			cr_skip_test("skipped: the kernel has no filters for system calls");
		cr_expect(eq(int, code, 0), "%s: %d, %s", rows[i].what, code, said);
		cr_expect(
			strstr(said, rows[i].report) != NULL, "%s: said '%s'", rows[i].what, said);
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
	pthread_t thread;
	void *result = NULL;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, word, sizeof(word)) <= 0 ||
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
	in_sandbox(use, EPERM, &code, said, sizeof(said));
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
	in_sandbox(abort_now, EPERM, &code, said, sizeof(said));
	if (code == 77)
		cr_skip_test("skipped: the kernel has no filters for system calls");
	cr_assert(eq(int, code, 1000 + SIGABRT), "%s", said);
}
