/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/hung_disk.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn static void serve(int fd)
{
	static char request[FUSE_MIN_READ_BUFFER + 65536];
	struct {
		struct fuse_out_header head;
		struct fuse_init_out init;
	} answer = {.head = {.len = sizeof(answer)},
		.init = {.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_write = 65536}};
	const struct fuse_in_header *head = (const void *)request;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, request, sizeof(request)) > 0) {
		answer.head.unique = head->unique;
		if (head->opcode == FUSE_INIT &&
			write(fd, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

pid_t hung_disk_mount(const char *path)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd < 0 || mount("hung", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		cr_skip_test("skipped: only root can mount a disk that hangs");
	pid_t server = fork();
	if (server == 0)
		serve(fd);
	close(fd);
	return server;
}

void hung_disk_end(pid_t server, const char *path)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	umount2(path, MNT_DETACH);
}
