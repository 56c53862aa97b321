/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/config.h"
#include "supervisor/folder.h"
#include "supervisor/lock.h"

static char root[64];
static char error[CONFIG_ERROR_BYTES];

static void make(void)
{
	snprintf(root, sizeof(root), "/tmp/nixfleet-lock-XXXXXX");
	cr_assert(mkdtemp(root) != NULL);
	*error = '\0';
}

static void finish(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_assert(eq(int, system(command), 0));
}

TestSuite(lock, .init = make, .fini = finish);

static enum lock_verdict take(struct lock *lock, const char *state, const char *host)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", root, state);
	int folder = folder_open(path, 0700, error);
	cr_assert(folder >= 0, "%s", error);
	return lock_take(lock, folder, host, root, error);
}

/* A host name that no other test and no agent of this machine has. */
static const char *host(const char *name)
{
	static char text[64];
	snprintf(text, sizeof(text), "test%d%s", (int)getpid(), name);
	return text;
}

Test(lock, one_state_folder_has_one_agent)
{
	struct lock first, second;
	cr_assert(eq(int, (int)take(&first, "a", host("x")), LOCK_TAKEN), "%s", error);
	cr_assert(eq(int, (int)take(&second, "a", host("y")), LOCK_HELD));
	cr_assert(strstr(error, "Another agent instance is already running") != NULL);
	lock_release(&first);
	cr_assert(eq(int, (int)take(&second, "a", host("y")), LOCK_TAKEN));
	lock_release(&second);
}

/* Its text is for people; a host whose disk is full needs its agent. */
Test(lock, is_taken_where_the_disk_takes_no_text)
{
	struct lock lock, second;
	struct rlimit before, none;
	signal(SIGXFSZ, SIG_IGN);
	cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &before), 0));
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &none), 0));
	enum lock_verdict verdict = take(&lock, "a", host("full"));
	cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &before), 0));
	cr_assert(eq(int, (int)verdict, LOCK_TAKEN), "%s", error);
	cr_assert(eq(int, (int)take(&second, "b", host("full")), LOCK_HELD));
	lock_release(&lock);
}

Test(lock, one_account_and_host_has_one_agent_whatever_the_folder_and_the_case)
{
	struct lock first, second;
	char expected[64];
	cr_assert(eq(int, (int)take(&first, "a", host("host")), LOCK_TAKEN));
	cr_assert(eq(int, (int)take(&second, "b", host("HOST")), LOCK_HELD));
	snprintf(expected, sizeof(expected), "(pid %d, since 20", (int)getpid());
	cr_assert(strstr(error, expected) != NULL, "%s", error);
	lock_release(&first);
}

Test(lock, a_removed_file_does_not_make_room_for_a_second)
{
	struct lock first, second;
	cr_assert(eq(int, (int)take(&first, "a", host("z")), LOCK_TAKEN));
	cr_assert(eq(int, unlink(first.path), 0));
	cr_assert(eq(int, (int)take(&second, "a", host("z")), LOCK_HELD));
	lock_release(&first);
	cr_assert(access(first.path, F_OK) != 0);
}

Test(lock, a_clean_exit_leaves_no_file_and_never_removes_anothers)
{
	struct lock first;
	cr_assert(eq(int, (int)take(&first, "a", host("w")), LOCK_TAKEN));
	char path[PATH_BYTES_MAX + 1];
	memcpy(path, first.path, sizeof(path));
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	lock_release(&first);
	cr_assert(eq(int, access(path, F_OK), 0));
	unlink(path);
}

Test(lock, a_link_in_its_place_is_refused)
{
	struct lock lock;
	cr_assert(eq(int, (int)take(&lock, "a", host("v")), LOCK_TAKEN));
	char path[PATH_BYTES_MAX + 1];
	memcpy(path, lock.path, sizeof(path));
	lock_release(&lock);
	cr_assert(eq(int, symlink("/tmp/nixfleet-elsewhere", path), 0));
	cr_assert(eq(int, (int)take(&lock, "a", host("v")), LOCK_FAILED));
	unlink(path);
}

Test(folder, one_that_others_may_write_to_is_refused)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/open", root);
	mkdir(path, 0777);
	chmod(path, 0777);
	cr_assert(eq(int, folder_open(path, 0700, error), -1));
	cr_assert(strstr(error, "writable by nobody else") != NULL);
}

TestSuite(folder, .init = make, .fini = finish);
