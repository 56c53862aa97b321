/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/orphans.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/time.h"
#include "supervisor/platform.h"
#include "supervisor/runner/cgroup.h"
#include "supervisor/runner/tree.h"

#define LOOK_EVERY_MS 5
/* A process may fork between a look and its signal: this many empty looks in a row end it. */
#define EMPTY_PASSES 2

/* Whose children the orphans are. A store child that the disk held up may have outlived its
 * supervisor: then its parent is somebody else, such as the user's service manager, and the
 * children of that one are not ours to end. */
static pid_t find_keeper(const struct orphans *orphans)
{
	return getppid() == orphans->keeper ? orphans->keeper : 0;
}

/* One look and its signals; how many still lived. */
static uint32_t end_once(const struct tree_search *search, struct cgroup *cgroup, struct tree *tree,
	struct proof *proof)
{
	uint32_t inside = cgroup_is_empty(cgroup) ? 0 : cgroup_count(cgroup);
	if (!tree_list_left(tree, search))
		tree->count = 0;
	uint32_t reached = tree_signal(tree, NULL, SIGKILL);
	if (tree->count > 0 && inside == 0)
		proof->method = "signals";
	if (inside > 0 && cgroup_kill(cgroup))
		proof->method = "cgroup";
	reached = inside > reached ? inside : reached;
	if (proof->ended_count < reached)
		proof->ended_count = reached;
	return inside > tree->count ? inside : tree->count;
}

static void describe_left(struct tree *tree, const struct cgroup *cgroup, struct proof *proof)
{
	if (tree->count == 0)
		return;
	tree_describe(tree, cgroup->folder < 0 ? ": the service must delegate its cgroup" : "",
		proof->left);
}

void orphans_end(const struct record *record, struct orphans *orphans)
{
	struct mono start = mono_now();
	struct mono until = mono_after(start, TREE_EMPTY_MS);
	struct proof *proof = &orphans->proof;
	struct cgroup cgroup = {.folder = -1};
	struct tree *tree = calloc(1, sizeof(*tree));
	uint32_t empty = 0;
	*proof = (struct proof){.method = "none"};
	if (record->cgroup[0])
		cgroup_open(&cgroup, record->cgroup, orphans->run);
	struct tree_search search = {.runner = (pid_t)record->pid,
		.runner_started = record->start_ticks,
		.known = orphans->known,
		.known_count = orphans->known_count,
		.since = platform_start_ticks(getpid())};
	while (tree && empty < EMPTY_PASSES && !mono_reached(mono_now(), until)) {
		search.keeper = find_keeper(orphans);
		proof->left_count = end_once(&search, &cgroup, tree, proof);
		empty = proof->left_count == 0 ? empty + 1 : 0;
		/* A pause without a descriptor; this child has nothing else to do. */
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	if (proof->left_count > 0 && tree)
		describe_left(tree, &cgroup, proof);
	proof->ended_count -= proof->left_count < proof->ended_count ? proof->left_count
								     : proof->ended_count;
	proof->ended_ms = mono_ms_since(mono_now(), start);
	cgroup_destroy(&cgroup);
	free(tree);
}
