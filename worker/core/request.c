/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/request.h"

#include "proto/base/check.h"

struct choice {
	enum request_kind kind;
	uint32_t debt;
	struct mono due;
};

struct agent_action *action_add(struct actions *actions, enum agent_action_type type)
{
	check(actions->count < AGENT_ACTIONS_MAX);
	struct agent_action *action = &actions->list[actions->count++];
	*action = (struct agent_action){.type = type};
	return action;
}

/* Called in the order of importance: the first that is due wins; until one is, the earliest. */
static void consider(struct choice *best, struct mono now, struct choice other)
{
	if (mono_reached(now, best->due))
		return;
	if (mono_reached(now, other.due) || other.due.ns < best->due.ns)
		*best = other;
}

static struct mono later(struct mono a, struct mono b)
{
	return a.ns > b.ns ? a : b;
}

static void consider_debt(const struct agent *agent, struct mono now, enum debt_state state,
	bool at_once, struct choice *best)
{
	static const enum request_kind kinds[] = {
		[DEBT_REGISTER] = REQUEST_REGISTER,
		[DEBT_CLEAR] = REQUEST_CLEAR,
		[DEBT_TELL] = REQUEST_STATUS,
	};
	uint32_t next = debt_next(&agent->debts, now, state, at_once);
	if (next == DEBT_NONE)
		return;
	struct choice choice = {kinds[state], next, agent->debts.list[next].due};
	if (choice.kind == REQUEST_STATUS)
		choice.due = later(choice.due, rate_due(&agent->reports));
	if (choice.kind == REQUEST_REGISTER)
		choice.debt = DEBT_NONE;
	consider(best, now, choice);
}

static struct choice choose(const struct agent *agent, struct mono now)
{
	const struct agent_test *test = &agent->test;
	struct choice best = {REQUEST_REGISTER, DEBT_NONE, MONO_NEVER};
	struct choice beat = {REQUEST_REGISTER, DEBT_NONE, contact_due(&agent->contact)};
	if (agent->state != AGENT_WORKING || agent->request.state != REQUEST_NONE ||
		login_is_held(&agent->login) || handover_is_full(&agent->handover))
		return best;
	/* A host is seen from its second registration on: reports come after that. */
	if (agent->contact.state != CONTACT_UP || agent->contact.registrations < 2)
		return beat;
	consider_debt(agent, now, DEBT_CLEAR, true, &best);
	consider_debt(agent, now, DEBT_TELL, true, &best);
	consider(&best, now, beat);
	if (debt_next(&agent->debts, now, DEBT_CLEAR, true) == DEBT_NONE)
		consider_debt(agent, now, DEBT_REGISTER, false, &best);
	consider_debt(agent, now, DEBT_TELL, false, &best);
	if (test->run[0] && test->is_news)
		consider(&best, now,
			(struct choice){REQUEST_PROGRESS, DEBT_NONE,
				later(test->due, rate_due(&test->rate))});
	return best;
}

struct mono request_due(const struct agent *agent)
{
	if (agent->request.state == REQUEST_PROBING)
		return agent->request.due;
	return choose(agent, (struct mono){0}).due;
}

static void send_register(struct agent *agent, struct actions *actions)
{
	*action_add(actions, ACTION_HEARTBEAT) = (struct agent_action){.type = ACTION_HEARTBEAT,
		.heartbeat = {
			.id = agent->request.id,
			.token = agent->request.token,
			.commit = text_of(agent->sight.commit.value),
			.system = text_of(agent->sight.system.value),
		}};
}

static void send_status(struct agent *agent, struct mono now, struct actions *actions)
{
	const struct debt *debt = &agent->debts.list[agent->request.debt];
	rate_sent(&agent->reports, now);
	*action_add(actions, ACTION_STATUS) = (struct agent_action){.type = ACTION_STATUS,
		.status = {
			.id = agent->request.id,
			.token = agent->request.token,
			.run = text_of(debt->run),
			.command = text_of(debt->command),
			.outcome = debt->outcome,
			.code = debt->code,
			.reason = text_of(debt->reason),
			.summary = text_of(debt->summary),
			.commit = text_of(agent->sight.commit.value),
			.minimal = debt->minimal,
		}};
}

static void send_progress(struct agent *agent, struct mono now, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_PROGRESS);
	struct agent_test *test = &agent->test;
	action->progress.id = agent->request.id;
	action->progress.token = agent->request.token;
	if (agent->request.kind == REQUEST_CLEAR) {
		const struct debt *debt = &agent->debts.list[agent->request.debt];
		action->progress.run = text_of(debt->run);
		action->progress.summary = text_of(debt->summary);
	} else {
		action->progress.run = text_of(test->run);
		action->progress.summary = TEXT_NONE;
		action->progress.running = true;
		test->is_news = false;
		test->due = mono_after(now, PROGRESS_GAP_MS);
		rate_sent(&test->rate, now);
	}
}

static void send(struct agent *agent, struct mono now, struct actions *actions)
{
	struct request *request = &agent->request;
	check(request->state != REQUEST_FLYING);
	request->state = REQUEST_FLYING;
	request->token = agent->login.use;
	contact_tried(&agent->contact, now);
	switch (request->kind) {
	case REQUEST_REGISTER: send_register(agent, actions); break;
	case REQUEST_STATUS: send_status(agent, now, actions); break;
	case REQUEST_CLEAR:
	case REQUEST_PROGRESS: send_progress(agent, now, actions); break;
	}
}

void request_next(struct agent *agent, struct mono now, struct actions *actions)
{
	struct choice choice = choose(agent, now);
	struct request *request = &agent->request;
	if (!mono_reached(now, choice.due))
		return;
	if (agent->contact.state == CONTACT_REFUSED)
		login_from_start(&agent->login);
	*request = (struct request){.kind = choice.kind, .debt = choice.debt, .id = ++agent->id};
	switch (choice.kind) {
	case REQUEST_REGISTER:
	case REQUEST_STATUS:
		request->state = REQUEST_LOOKING;
		action_add(actions, ACTION_LOOK)->look.id = request->id;
		break;
	case REQUEST_CLEAR:
	case REQUEST_PROGRESS: send(agent, now, actions); break;
	}
}

uint64_t request_probe(struct agent *agent, const char *name, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_PROBE);
	action->probe.id = ++agent->id;
	action->probe.name = text_of(name);
	return agent->id;
}

bool request_see(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions)
{
	struct sight *sight = &agent->sight;
	if (looked->wants_clone && sight_wants_clone(sight, now))
		sight_clone_asked(sight, request_probe(agent, "clone", actions));
	if (looked->ask_system && sight_wants(&sight->system, now, UINT64_MAX))
		sight_asked(&sight->system, now, request_probe(agent, "nixos-version", actions));
	if (!looked->ask_commit) {
		sight_told(&sight->commit, looked->commit, now);
		return false;
	}
	if (!sight_wants(&sight->commit, now, PROBE_FRESH_MS))
		return false;
	sight_asked(&sight->commit, now, request_probe(agent, "git-head", actions));
	return true;
}

void request_looked(struct agent *agent, struct mono now, const struct agent_event_looked *looked,
	struct actions *actions)
{
	struct request *request = &agent->request;
	if (request->state != REQUEST_LOOKING || request->id != looked->id)
		return;
	if (request_see(agent, now, looked, actions)) {
		request->state = REQUEST_PROBING;
		request->due = mono_after(now, PROBE_WAIT_MS);
		return;
	}
	send(agent, now, actions);
}

void request_probed(struct agent *agent, struct mono now, struct actions *actions)
{
	if (agent->request.state == REQUEST_PROBING)
		send(agent, now, actions);
}

void request_waited(struct agent *agent, struct mono now, struct actions *actions)
{
	if (agent->request.state == REQUEST_PROBING && mono_reached(now, agent->request.due))
		send(agent, now, actions);
}

static void give_up(const struct debt *debt, struct actions *actions)
{
	struct agent_action *action = action_add(actions, ACTION_UNDELIVERABLE);
	action->undeliverable.run = text_of(debt->run);
	action->undeliverable.reason = text_of(debt->reason);
}

static void was_good(struct agent *agent, const struct request *request, struct mono now,
	struct actions *actions)
{
	contact_was_good(&agent->contact, now);
	login_was_good(&agent->login);
	switch (request->kind) {
	case REQUEST_REGISTER:
		contact_registered(&agent->contact, now);
		if (agent->contact.registrations > 1)
			debt_registered(&agent->debts);
		break;
	case REQUEST_CLEAR: debt_cleared(&agent->debts.list[request->debt]); break;
	case REQUEST_STATUS: {
		struct debt *debt = &agent->debts.list[request->debt];
		debt_told(debt);
		action_add(actions, ACTION_DELIVERED)->delivered.run = text_of(debt->run);
		break;
	}
	case REQUEST_PROGRESS: break;
	}
}

/* The token, not the request, is at fault: the same again with another one. */
static void was_refused(
	struct agent *agent, const struct request *request, struct mono now, struct text reason)
{
	/* A server that takes the heartbeat and refuses the report must not be asked in a circle.
	 */
	if (request->debt != DEBT_NONE)
		debt_silence(&agent->debts.list[request->debt], now, 0, &agent->dice);
	if (request->kind == REQUEST_PROGRESS)
		agent->test.due = mono_after(now, PROGRESS_PAUSE_MS);
	if (login_was_refused(&agent->login, request->token))
		contact_retry_now(&agent->contact, now);
	else
		contact_refused(&agent->contact, now, &agent->dice, reason);
}

/* No answer, or none now: the way to the dashboard is at fault. */
static void was_silent(struct agent *agent, const struct request *request, struct mono now,
	const struct agent_event_answer *answer)
{
	uint64_t wait_ms = answer->retry_after_ms;
	if (wait_ms > RETRY_AFTER_MAX_MS)
		wait_ms = RETRY_AFTER_MAX_MS;
	if (request->debt != DEBT_NONE)
		debt_silence(&agent->debts.list[request->debt], now, wait_ms, &agent->dice);
	if (request->kind == REQUEST_PROGRESS) {
		agent->test.is_news = true;
		agent->test.due = mono_after(now, wait_ms ? wait_ms : PROGRESS_PAUSE_MS);
	}
	if (wait_ms == 0)
		contact_failed(&agent->contact, now, &agent->dice, answer->reason);
	else if (request->kind == REQUEST_REGISTER)
		contact_held(&agent->contact, now, wait_ms, answer->reason);
}

/* It was read, and something in it or behind it is at fault: is_rejected, or the server failed. */
static void was_faulted(struct agent *agent, const struct request *request, struct mono now,
	const struct agent_event_answer *answer, bool is_rejected, struct actions *actions)
{
	if (request->kind == REQUEST_PROGRESS)
		return;
	if (request->kind == REQUEST_REGISTER) {
		if (is_rejected)
			contact_held(&agent->contact, now, REJECTED_RETRY_MS, answer->reason);
		else if (answer->retry_after_ms > 0)
			contact_held(&agent->contact, now, answer->retry_after_ms, answer->reason);
		else
			contact_failed(&agent->contact, now, &agent->dice, answer->reason);
		return;
	}
	struct debt *debt = &agent->debts.list[request->debt];
	enum debt_verdict verdict = is_rejected ? debt_rejected(debt, answer->reason)
						: debt_fault(debt, now, answer->reason);
	if (verdict == DEBT_IS_OVER)
		give_up(debt, actions);
}

static void judge(struct agent *agent, const struct request *request, struct mono now,
	const struct agent_event_answer *answer, struct actions *actions)
{
	bool is_refused = answer->code == 401;
	bool is_busy = answer->code == 429 || answer->code == 408;
	bool is_rejected = answer->code >= 400 && answer->code < 500;
	switch ((enum answer_result)answer->result) {
	case ANSWER_GOOD: was_good(agent, request, now, actions); return;
	case ANSWER_NONE: was_silent(agent, request, now, answer); return;
	case ANSWER_GARBAGE: was_silent(agent, request, now, answer); return;
	case ANSWER_CODE: break;
	}
	if (is_refused)
		was_refused(agent, request, now, answer->reason);
	else if (is_busy)
		was_silent(agent, request, now, answer);
	else
		was_faulted(agent, request, now, answer, is_rejected, actions);
}

void request_answered(struct agent *agent, struct mono now, const struct agent_event_answer *answer,
	struct actions *actions)
{
	struct request request = agent->request;
	if (request.state != REQUEST_FLYING || request.id != answer->id)
		return;
	agent->request.state = REQUEST_NONE;
	/* First what must not be lost: the server has forgotten both as it answered. */
	if (answer->command.size > 0) {
		struct agent_action *action = action_add(actions, ACTION_RUN);
		action->run.id = ++agent->id;
		action->run.command = handover_add(&agent->handover, agent->id, answer->command);
	}
	if (answer->token) {
		login_new(&agent->login, now);
		action_add(actions, ACTION_KEEP)->keep.again = false;
	}
	judge(agent, &request, now, answer, actions);
}
