/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "worker/core/request.h"

static struct agent agent;
static struct actions actions;

static struct mono at(uint64_t ms)
{
	return (struct mono){ms * NS_PER_MS};
}

static void make(void)
{
	const struct agent_limits limits = {
		.protocol = PROTOCOL_HTTP, .interval_ms = 30000, .has_shared_token = true};
	agent_init(&agent, &limits);
	contact_open(&agent.contact, at(0));
}

TestSuite(request, .init = make);

/* The one action, of that type. */
static const struct agent_action *only(enum agent_action_type type)
{
	cr_assert(eq(u32, actions.count, 1));
	cr_assert(eq(int, (int)actions.list[0].type, (int)type));
	return &actions.list[0];
}

static void next(uint64_t ms)
{
	actions.count = 0;
	request_next(&agent, at(ms), &actions);
}

static void looked(uint64_t ms, uint64_t id, bool ask_commit)
{
	actions.count = 0;
	request_looked(&agent, at(ms),
		&(struct agent_event_looked){
			.id = id, .commit = TEXT_NONE, .ask_commit = ask_commit},
		&actions);
}

static void answered(uint64_t ms, uint64_t id, enum answer_result result)
{
	actions.count = 0;
	request_answered(&agent, at(ms),
		&(struct agent_event_answer){
			.id = id, .result = result, .command = TEXT_NONE, .reason = TEXT_NONE},
		&actions);
}

/* A registration, and its answer. */
static void register_at(uint64_t ms)
{
	next(ms);
	looked(ms, only(ACTION_LOOK)->look.id, false);
	answered(ms, only(ACTION_HEARTBEAT)->heartbeat.id, ANSWER_GOOD);
}

Test(request, one_is_on_its_way_at_a_time)
{
	next(0);
	uint64_t id = only(ACTION_LOOK)->look.id;
	cr_assert(eq(u64, request_due(&agent).ns, MONO_NEVER.ns));
	next(1);
	cr_assert(eq(u32, actions.count, 0));
	looked(2, id + 1, false);
	cr_assert(eq(u32, actions.count, 0));
	looked(2, id, false);
	only(ACTION_HEARTBEAT);
	answered(3, id + 1, ANSWER_GOOD);
	cr_assert(eq(int, (int)agent.request.state, REQUEST_FLYING));
	answered(3, id, ANSWER_GOOD);
	cr_assert(eq(int, (int)agent.request.state, REQUEST_NONE));
	cr_assert(eq(u64, agent.contact.registrations, 1));
}

Test(request, a_registration_waits_for_the_commit_and_not_for_ever)
{
	next(0);
	looked(0, only(ACTION_LOOK)->look.id, true);
	cr_assert(text_is(only(ACTION_PROBE)->probe.name, "git-head"));
	cr_assert(eq(u64, request_due(&agent).ns, at(PROBE_WAIT_MS).ns));
	actions.count = 0;
	request_waited(&agent, at(PROBE_WAIT_MS - 1), &actions);
	cr_assert(eq(u32, actions.count, 0));
	request_waited(&agent, at(PROBE_WAIT_MS), &actions);
	only(ACTION_HEARTBEAT);
}

Test(request, an_outcome_is_told_once_the_host_is_seen)
{
	debt_add(&agent.debts, &(struct agent_event_ended){.run = text_of("r-1"),
				       .command = text_of("pull"),
				       .outcome = OUTCOME_EXITED,
				       .reason = TEXT_NONE,
				       .summary = TEXT_NONE,
				       .owed = true});
	register_at(0);
	register_at(1);
	next(2);
	looked(2, only(ACTION_LOOK)->look.id, false);
	const struct agent_action_status *status = &only(ACTION_STATUS)->status;
	cr_assert(text_is(status->run, "r-1"));
	answered(3, status->id, ANSWER_GOOD);
	cr_assert(text_is(only(ACTION_DELIVERED)->delivered.run, "r-1"));
}

/* Every text of an action can be read, also an empty one. */
Test(request, the_progress_of_a_test_has_no_summary_yet)
{
	register_at(0);
	register_at(1);
	text_copy(text_of("test-1"), agent.test.run, sizeof(agent.test.run));
	agent.test.is_news = true;
	next(2);
	const struct agent_action_progress *progress = &only(ACTION_PROGRESS)->progress;
	cr_assert(text_is(progress->run, "test-1"));
	cr_assert(progress->running);
	cr_assert(text_is(progress->summary, ""));
	cr_assert(ne(ptr, (void *)(uintptr_t)progress->summary.data, NULL));
	/* The next one not before its gap. */
	answered(3, progress->id, ANSWER_GOOD);
	agent.test.is_news = true;
	next(1 + PROGRESS_GAP_MS);
	cr_assert(eq(u32, actions.count, 0));
	next(2 + PROGRESS_GAP_MS);
	only(ACTION_PROGRESS);
}
