/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A deny list of system calls: a list of what is allowed would break with the next libc. The calls
 * are trapped, so that a try can be named in the log before it fails.
 */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h> /* FIOSETOWN, by way of the kernel's */
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE      AUDIT_ARCH_X86_64
#define RESULT(context)   ((context)->uc_mcontext.gregs[REG_RAX])
#define OTHER_CALLS_BEGIN 0x40000000u /* the x32 numbers */
#elif defined(__aarch64__)
#define ARCHITECTURE      AUDIT_ARCH_AARCH64
#define RESULT(context)   (*(long long *)&(context)->uc_mcontext.regs[0])
#define OTHER_CALLS_BEGIN UINT32_MAX
#endif

#define FILTER_MAX          320
#define WRITE_FLAGS         (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)
#define NOTE_BYTES          96
#define LAST_CAPABILITY_MAX 63

/* Newer than some systems' headers. Since 424 a call has the same number on every architecture. */
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat    463
#define SYS_removexattrat 466
#endif

static const struct denied {
	long number;
	const char *name;
} denied[] = {
#define DENY(name) {SYS_##name, #name},
#include "worker/sandbox_linux.def"
#undef DENY
};

#define OWN_PID UINT32_MAX

/* Calls of which one argument decides: those of these values end with verdict, all others with the
 * other one. */
static const struct judged {
	long number;
	const char *name;
	uint32_t argument;
	uint32_t verdict;
	uint32_t count;
	uint32_t values[4];
} judged[] = {
	/* This process may signal itself: abort() does, in musl by the older call. */
	{SYS_tkill, "tkill of another process", 0, SECCOMP_RET_ALLOW, 1, {OWN_PID}},
	{SYS_tgkill, "tgkill of another process", 0, SECCOMP_RET_ALLOW, 1, {OWN_PID}},
	{SYS_prlimit64, "prlimit64 of another process", 0, SECCOMP_RET_ALLOW, 2, {0, OWN_PID}},
	/* The owner of a descriptor may be any process of this user, and is sent any signal. */
	{SYS_fcntl, "fcntl for signals", 1, SECCOMP_RET_TRAP, 3, {F_SETOWN, F_SETSIG, F_SETOWN_EX}},
	/* Two are that again; two type into a terminal. */
	{SYS_ioctl, "ioctl for signals or input", 1, SECCOMP_RET_TRAP, 4,
		{FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX}},
};

#ifdef ARCHITECTURE

static const char *name_of(int number)
{
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		if (denied[i].number == number)
			return denied[i].name;
	}
	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
		if (judged[i].number == number)
			return judged[i].name;
	}
	return number == SYS_openat ? "openat for writing" : "another call";
}

/* Only what a signal handler may do: one write. */
static void on_denied(int signal, siginfo_t *info, void *data)
{
	static const char begin[] = "<3>nixfleet-worker: violation: the sandbox denies ";
	int kept = errno;
	char note[NOTE_BYTES];
	const char *name = name_of(info->si_syscall);
	size_t size = sizeof(begin) - 1, more = strlen(name);
	(void)signal;
	memcpy(note, begin, size);
	if (more > sizeof(note) - size - 1)
		more = sizeof(note) - size - 1;
	memcpy(note + size, name, more);
	note[size + more] = '\n';
	(void)!write(STDERR_FILENO, note, size + more + 1);
	RESULT((ucontext_t *)data) = -EPERM;
	errno = kept;
}

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short count;
};

static void add(struct filter *filter, struct sock_filter instruction)
{
	if (filter->count < FILTER_MAX)
		filter->code[filter->count++] = instruction;
}

static void load(struct filter *filter, uint32_t offset)
{
	add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* Where the loaded word is value, the filter ends with verdict. */
static void end_if(struct filter *filter, uint32_t value, uint32_t verdict)
{
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

static uint32_t low_word(uint32_t argument)
{
	return (uint32_t)offsetof(struct seccomp_data, args) + 8 * argument; /* little-endian */
}

/* The number is loaded: where it is this call, flags that write are trapped and others allowed. */
static void judge_open(struct filter *filter, long number, uint32_t flags_argument)
{
	add(filter,
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4));
	load(filter, low_word(flags_argument));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WRITE_FLAGS, 0, 1));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

/* The number is loaded: where it is this call, its argument decides. */
static void judge(struct filter *filter, const struct judged *call)
{
	uint8_t skipped = (uint8_t)(2 * call->count + 2);
	bool traps = call->verdict == SECCOMP_RET_TRAP;
	add(filter, (struct sock_filter)BPF_JUMP(
			    BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call->number, 0, skipped));
	load(filter, low_word(call->argument));
	for (uint32_t i = 0; i < call->count; i++) {
		uint32_t value = call->values[i];
		end_if(filter, value == OWN_PID ? (uint32_t)getpid() : value, call->verdict);
	}
	add(filter, (struct sock_filter)BPF_STMT(
			    BPF_RET | BPF_K, traps ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP));
}

static void build(struct filter *filter)
{
	load(filter, offsetof(struct seccomp_data, arch));
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
	load(filter, offsetof(struct seccomp_data, nr));
	add(filter,
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_CALLS_BEGIN, 0, 1));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
	/* Its flags lie in memory, where a filter cannot look; who is refused takes openat. */
	end_if(filter, SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		end_if(filter, (uint32_t)denied[i].number, SECCOMP_RET_TRAP);
	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
		judge(filter, &judged[i]);
	judge_open(filter, SYS_openat, 2);
#ifdef SYS_open
	judge_open(filter, SYS_open, 1);
#endif
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static bool install_filter(void)
{
	struct filter filter = {.count = 0};
	struct sigaction action = {.sa_sigaction = on_denied, .sa_flags = SA_SIGINFO | SA_NODEFER};
	build(&filter);
	struct sock_fprog program = {filter.count, filter.code};
	if (filter.count == FILTER_MAX) {
		errno = E2BIG;
		return false;
	}
	return sigaction(SIGSYS, &action, NULL) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

#else

static bool install_filter(void)
{
	errno = ENOSYS; /* the numbers of this architecture are not known here */
	return false;
}

#endif

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};
	for (unsigned long number = 0; number <= LAST_CAPABILITY_MAX; number++)
		prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &head, none);
}

bool sandbox_enter(void)
{
	drop_capabilities();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install_filter();
}
