/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct why {
	const struct shell *shell;
	const struct rules *rules;
	struct mono now;
	void (*say)(void *data, const struct control *control);
	void *data;
	struct control_wait_for next; /* what is said next is filled in here */
};

/* One thing; since and due are MONO_NEVER where they are not known. */
__attribute__((format(printf, 5, 6))) static void add(struct why *why, const char *what,
	struct mono since, struct mono due, const char *format, ...)
{
	char words[REASON_BYTES_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	struct control control = {.type = CONTROL_WAIT_FOR, .wait_for = why->next};
	control.wait_for.what = text_of(what);
	control.wait_for.words = text_of(words);
	control.wait_for.since_ms = since.ns == MONO_NEVER.ns ? UINT64_MAX
							      : mono_ms_since(why->now, since);
	control.wait_for.left_ms = due.ns == MONO_NEVER.ns ? UINT64_MAX
							   : mono_ms_until(why->now, due);
	why->say(why->data, &control);
	why->next = (struct control_wait_for){.run = TEXT_NONE};
}

static void add_pause(struct why *why)
{
	const struct rules_pause *pause = &why->rules->pause;
	uint64_t left = rules_pause_left_ms(why->rules);
	if (pause->is_on)
		add(why, "pause", MONO_NEVER,
			left == PAUSE_FOR_EVER ? MONO_NEVER : mono_after(why->now, left), "%s",
			pause->sentence);
}

static void add_gate(struct why *why)
{
	const struct rules_gate *gate = &why->rules->gate;
	if (gate->state == GATE_SHUT)
		add(why, "gate", gate->since, mono_after(gate->since, GATE_OPEN_ANYWAY_MS),
			"the network: %s; then the gate opens anyway", gate->reason);
}

static void add_worker(struct why *why)
{
	const struct rules_worker *worker = &why->rules->worker;
	switch (worker->state) {
	case WORKER_NONE:
	case WORKER_UP: return;
	case WORKER_WAITING:
		add(why, "backoff", worker->since, worker->due,
			worker->is_safe_mode ? "the next try of a worker that dies again and again"
					     : "the next start of the worker, which ended");
		return;
	case WORKER_STARTING:
		add(why, "worker", worker->since, mono_after(worker->heard, WORKER_HUNG_MS),
			"the worker to be ready");
		return;
	case WORKER_DEGRADED:
		add(why, "worker", worker->heard, mono_after(worker->heard, WORKER_HUNG_MS),
			"an answer of the worker; then it is replaced");
		return;
	case WORKER_ENDING:
		add(why, "worker", MONO_NEVER, worker->due, "the worker to end");
		return;
	}
}

/* Resolver, connect, registration or the next try: the worker's own words say which. */
static void add_link(struct why *why)
{
	const struct rules_worker *worker = &why->rules->worker;
	bool is_up = worker->state == WORKER_UP || worker->state == WORKER_DEGRADED;
	if (why->rules->gate.state == GATE_SHUT || !is_up)
		return;
	if (worker->link == LINK_UP) {
		if (worker->detail[0])
			add(why, "repository", MONO_NEVER, MONO_NEVER, "%s", worker->detail);
		return;
	}
	add(why, "dashboard", worker->contact.ns == MONO_NEVER.ns ? worker->since : MONO_NEVER,
		worker->retry, "the dashboard, %s: %s", link_name(worker->link),
		worker->detail[0] ? worker->detail : "nothing was tried yet");
}

static void add_run(struct why *why, uint32_t busy)
{
	const struct rules_run *run = &why->rules->runs[busy];
	why->next.run = text_of(run->name);
	why->next.pid = (uint64_t)run->pid;
	switch (run->state) {
	case RUN_STARTING:
		add(why, "command", run->started, MONO_NEVER, "the runner of %s to start it",
			run->command);
		return;
	case RUN_SETTLING:
		add(why, "command", MONO_NEVER, run->retry,
			"what is left of %s to end: its runner is gone", run->command);
		return;
	case RUN_GOING:
	case RUN_FREE:
	case RUN_ACCEPTING:
	case RUN_QUEUED:
	case RUN_KEEPING:
	case RUN_ENDED: break;
	}
	add(why, "command", run->started, mono_after(run->started, run->deadline_ms), "%s to end%s",
		run->command, run->is_killing ? ": its runner hangs and is killed" : "");
}

static void add_queue(struct why *why, uint32_t busy)
{
	uint32_t queued = rules_count_queued(why->rules);
	uint32_t leftover = rules_leftover_run(why->rules);
	const char *front = "the records, which are being read";
	const char *left = "";
	if (busy != RULES_NO_RUN) {
		front = why->rules->runs[busy].name;
	} else if (why->rules->pause.is_on) {
		front = "the pause";
	} else if (why->rules->is_cloning) {
		front = "the clone of the repository";
	} else if (why->rules->leave.state != LEAVE_NONE) {
		front = "the agent's leaving";
	} else if (leftover != RULES_NO_RUN) {
		front = why->rules->runs[leftover].name;
		left = "what is left of ";
	}
	if (queued > 0)
		add(why, "queue", MONO_NEVER, MONO_NEVER, "%u command%s behind %s%s", queued,
			queued == 1 ? "" : "s", left, front);
}

static void add_store(struct why *why, const struct child *child)
{
	bool has_run = child->run != RULES_NO_RUN;
	add(why, "disk", child->started, mono_after(child->started, STORE_KILL_MS),
		"the disk, to %s%s%s; then it is tried again", rules_act_name(child->act),
		has_run ? " " : "", has_run ? why->rules->runs[child->run].name : "");
}

static void add_leaving(struct why *why)
{
	static const char *const words[] = {
		[LEAVE_NONE] = "",
		[LEAVE_DELIVERING] = "what is owed to be delivered before the agent leaves",
		[LEAVE_ACTING] = "the action of the command that was announced",
		[LEAVE_ACTED] = "the machine to go down",
	};
	const struct rules_leave *leave = &why->rules->leave;
	if (leave->state != LEAVE_NONE)
		add(why, "leaving", MONO_NEVER, leave->due, "%s", words[leave->state]);
}

static void add_delivery(struct why *why)
{
	const struct rules *rules = why->rules;
	uint32_t owed = rules_count_owed(rules);
	if (owed > 0)
		add(why, "delivery", MONO_NEVER, MONO_NEVER, "the dashboard to take %u outcome%s",
			owed, owed == 1 ? "" : "s");
	add_leaving(why);
}

void why_list(const struct shell *shell, struct mono now,
	void (*say)(void *data, const struct control *control), void *data)
{
	struct why why = {.shell = shell,
		.rules = &shell->rules,
		.now = now,
		.say = say,
		.data = data,
		.next = {.run = TEXT_NONE}};
	uint32_t busy = rules_busy_run(&shell->rules);
	add_pause(&why);
	add_gate(&why);
	add_worker(&why);
	add_link(&why);
	if (busy != RULES_NO_RUN)
		add_run(&why, busy);
	add_queue(&why, busy);
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind == CHILD_STORE)
			add_store(&why, &shell->children[i]);
	}
	add_delivery(&why);
}
