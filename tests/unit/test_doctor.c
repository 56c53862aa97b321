/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/doctor.h"

#define ACCOUNT 61234 /* of the agent, and its group */

static char said[REASON_BYTES_MAX + 1];
static enum finding verdict;

static void keep(void *data, const struct control *control)
{
	(void)data;
	verdict = (enum finding)control->finding.verdict;
	text_copy(control->finding.words, said, sizeof(said));
}

/* What an agent of an ordinary account, or root without one, says of a file with the token. */
static void look_at(bool is_agents, uid_t owner, gid_t group, mode_t mode)
{
	char path[] = "/tmp/nixfleet-token-XXXXXX", url[] = "https://d";
	char cache[] = "/nonexistent/token";
	struct config config = {.token_file = path, .token_cache = cache, .url = url};
	struct doctor doctor = {.config = &config, .is_agents = is_agents, .say = keep};
	if (geteuid() != 0)
		cr_skip_test("skipped: needs root for files of others");
	int fd = mkstemp(path);
	cr_assert(fchown(fd, owner, group) == 0 && fchmod(fd, mode) == 0);
	close(fd);
	if (is_agents)
		cr_assert(setegid(ACCOUNT) == 0 && seteuid(ACCOUNT) == 0);
	doctor_token(&doctor);
	if (is_agents)
		cr_assert(seteuid(0) == 0 && setegid(0) == 0);
	unlink(path);
}

static void look(bool is_agents, gid_t group, mode_t mode)
{
	look_at(is_agents, 0, group, mode);
}

Test(doctor, a_token_of_roots_may_be_read_by_the_group_of_the_agent)
{
	look(true, ACCOUNT, 0640);
	cr_assert(eq(int, verdict, FINDING_OK), "%s", said);
	look(false, ACCOUNT, 0640); /* nfctl of root's, without an agent */
	cr_assert(eq(int, verdict, FINDING_OK), "%s", said);
}

Test(doctor, a_token_that_others_can_read_is_warned_about_with_what_the_agent_can_live_with)
{
	look(true, ACCOUNT, 0644);
	cr_assert(eq(int, verdict, FINDING_WARNING));
	cr_assert(strstr(said, "can be read by others (mode 644)") != NULL, "%s", said);
	cr_assert(strstr(said, "chmod 640") != NULL, "%s", said);
	look(true, ACCOUNT + 1, 0640);
	cr_assert(eq(int, verdict, FINDING_WARNING));
	cr_assert(strstr(said, "chown :61234") != NULL, "%s", said);
	look(false, 0, 0644);
	cr_assert(eq(int, verdict, FINDING_WARNING));
}

Test(doctor, root_without_an_agent_does_not_know_whose_a_token_should_be)
{
	look_at(false, ACCOUNT, ACCOUNT, 0600);
	cr_assert(eq(int, verdict, FINDING_OK), "%s", said);
	look_at(true, ACCOUNT + 1, ACCOUNT, 0640);
	cr_assert(eq(int, verdict, FINDING_WARNING), "%s", said);
}
