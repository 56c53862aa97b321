/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The token that the dashboard gave this host. */
#include "tests/unit/rules_world.h"

#include <errno.h>

static struct world world;

static void answer_pings(void)
{
	if (world_sent(&world, MESSAGE_PING))
		world_says(&world,
			(struct message){.type = MESSAGE_PONG, .pong = {.detail = TEXT_NONE}});
}

Test(rules_token, a_token_that_the_disk_refused_is_kept_once_it_takes_it)
{
	world_up(&world, PROTOCOL_HTTP);
	world_says(&world,
		(struct message){.type = MESSAGE_TOKEN, .token = {.token = text_of("secret")}});
	cr_assert(world_stored(&world, ACT_TOKEN) != NULL);
	cr_assert(not(world.rules.token.is_kept));
	world_done(&world, ACT_TOKEN, RULES_NO_RUN, ENOSPC);
	while (!world_stored(&world, ACT_TOKEN)) {
		answer_pings();
		world_pass(&world, 1000);
		cr_assert(lt(u64, world.ms, 60000));
	}
	world_done(&world, ACT_TOKEN, RULES_NO_RUN, 0);
	cr_assert(world.rules.token.is_kept);
	for (uint64_t end = world.ms + 100000; world.ms < end;) {
		answer_pings();
		world_pass(&world, 1000);
		cr_assert(world_stored(&world, ACT_TOKEN) == NULL);
	}
}
