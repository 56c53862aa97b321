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
#include <sys/prctl.h>
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

#define FILTER_MAX          256
#define WRITE_FLAGS         (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)
#define NOTE_BYTES          96
#define LAST_CAPABILITY_MAX 63

/* Names that some architectures do not have. */
static const struct denied {
	long number;
	const char *name;
} denied[] = {
#define DENY(name) {SYS_##name, #name},
	DENY(execve) DENY(execveat) DENY(ptrace) DENY(process_vm_readv) DENY(process_vm_writev) DENY(kill) DENY(
		tkill) DENY(rt_sigqueueinfo) DENY(rt_tgsigqueueinfo) DENY(pidfd_send_signal) DENY(mount)
		DENY(umount2) DENY(move_mount) DENY(open_tree) DENY(fsopen) DENY(fsmount) DENY(fsconfig) DENY(
			fspick) DENY(pivot_root) DENY(chroot) DENY(unshare) DENY(setns) DENY(setuid) DENY(setgid)
			DENY(setreuid) DENY(setregid) DENY(setresuid) DENY(setresgid) DENY(setgroups) DENY(
				setfsuid) DENY(setfsgid) DENY(capset) DENY(init_module) DENY(finit_module)
				DENY(delete_module) DENY(kexec_load) DENY(bpf) DENY(perf_event_open) DENY(
					userfaultfd) DENY(io_uring_setup) DENY(reboot) DENY(swapon) DENY(swapoff)
					DENY(sethostname) DENY(setdomainname) DENY(settimeofday) DENY(
						clock_settime) DENY(adjtimex) DENY(clock_adjtime) DENY(acct)
						DENY(quotactl) DENY(personality) DENY(add_key) DENY(
							request_key) DENY(keyctl) DENY(unlinkat) DENY(renameat2)
							DENY(mkdirat) DENY(linkat) DENY(symlinkat) DENY(
								mknodat) DENY(truncate) DENY(fchmod) DENY(fchmodat)
								DENY(fchown) DENY(fchownat) DENY(utimensat) DENY(
									setxattr) DENY(lsetxattr) DENY(fsetxattr)
#ifdef SYS_rename
									DENY(rename) DENY(unlink) DENY(
										mkdir) DENY(rmdir) DENY(link)
										DENY(symlink) DENY(mknod) DENY(
											creat) DENY(chmod)
											DENY(chown) DENY(
												lchown)
												DENY(iopl) DENY(
													ioperm)
#endif
#ifdef SYS_renameat
													DENY(renameat)
#endif
#undef DENY
};

#ifdef ARCHITECTURE

static const char *name_of(int number)
{
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		if (denied[i].number == number)
			return denied[i].name;
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

/* This process may signal itself: abort() does. */
static void judge_tgkill(struct filter *filter)
{
	add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 4));
	load(filter, low_word(0));
	add(filter,
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
	add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
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
	judge_tgkill(filter);
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
