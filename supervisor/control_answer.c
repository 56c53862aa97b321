/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a client of the control socket is answered: from memory at once, or by a child. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "supervisor/control_client.h"
#include "supervisor/doctor.h"
#include "supervisor/status.h"
#include "supervisor/store_child.h"
#include "supervisor/why.h"

#define PAUSE_MS_MAX (UINT64_C(366) * 24 * 3600 * 1000)

void control_say(struct control_client *client, const struct control *control)
{
	/* The queue holds a whole status; a client that does not read loses the rest. */
	if (control_encode(control, channel_out(&client->channel)) == 0)
		return;
	log_debug("a control client does not read its answer");
	client->due = (struct mono){0};
}

/* A sentence that is too long for its field is cut. */
static struct text sentence(struct text text)
{
	return (struct text){
		text.data, text.size < REASON_BYTES_MAX ? text.size : REASON_BYTES_MAX};
}

void control_refuse(struct control_client *client, const char *reason)
{
	control_say(client, &(struct control){.type = CONTROL_REFUSED,
				    .refused = {.reason = sentence(text_of(reason))}});
}

void control_done(struct control_client *client, struct text note)
{
	control_say(
		client, &(struct control){.type = CONTROL_DONE, .done = {.note = sentence(note)}});
}

static void say_run(struct control_client *client, const struct rules_run *run, struct mono now)
{
	bool is_live = run->state == RUN_GOING || run->state == RUN_STARTING;
	control_say(client,
		&(struct control){.type = CONTROL_RUN,
			.run = {
				.run = text_of(run->name),
				.command = text_of(run->command),
				.state = text_of(rules_run_state_name(run)),
				.origin = run->origin,
				.owed = run->telling == TELLING_OWED ||
					run->telling == TELLING_TOLD ||
					run->telling == TELLING_MARKING,
				.withheld = rules_is_poison(run),
				.sequence = run->sequence,
				.wall_ms = run->wall_ms,
				.pid = (uint64_t)run->pid,
				.elapsed_ms = is_live ? mono_ms_since(now, run->started) : 0,
				.deadline_ms = run->deadline_ms,
				.outcome = run->outcome,
				.code = run->code,
				.reason = text_of(run->reason),
				.summary = text_of(run->summary),
				.method = TEXT_NONE,
				.left = TEXT_NONE,
			}});
}

static void say_wait(
	struct control_client *client, const char *name, struct mono now, struct mono due)
{
	if (due.ns != MONO_NEVER.ns)
		control_say(client, &(struct control){.type = CONTROL_WAIT,
					    .wait = {.name = text_of(name),
						    .left_ms = mono_ms_until(now, due)}});
}

/* Which act the disk does not let go on, and since when. */
static void say_store_wait(
	struct control_client *client, const struct child *child, struct mono now)
{
	char name[SHORT_TEXT_BYTES_MAX + 1];
	uint64_t ms = mono_ms_since(now, child->started);
	bool has_run = child->run != RULES_NO_RUN;
	if (ms < STORE_SLOW_MS)
		return;
	snprintf(name, sizeof(name), "the disk hangs for %llu s: %s%s%.100s; given up",
		(unsigned long long)ms / 1000, rules_act_name(child->act), has_run ? " " : "",
		has_run ? client->shell->rules.runs[child->run].name : "");
	say_wait(client, name, now, mono_after(child->started, STORE_KILL_MS));
}

static void say_waits(struct control_client *client, const struct shell *shell, struct mono now)
{
	const struct rules *rules = &shell->rules;
	if (rules->gate.state == GATE_SHUT)
		say_wait(client, "the gate opens anyway", now,
			mono_after(rules->gate.since, GATE_OPEN_ANYWAY_MS));
	if (rules->worker.state == WORKER_WAITING)
		say_wait(client, "the worker is started again", now, rules->worker.due);
	if (rules->worker.state == WORKER_DEGRADED)
		say_wait(client, "the worker is replaced", now,
			mono_after(rules->worker.heard, WORKER_HUNG_MS));
	say_wait(client, "the agent leaves", now, rules->leave.due);
	say_wait(client, "reading the configuration is given up", now, shell->reload.due);
	for (uint32_t i = 0; i < SHELL_CHILDREN_MAX; i++) {
		if (shell->children[i].kind == CHILD_STORE)
			say_store_wait(client, &shell->children[i], now);
	}
}

static void answer_status(struct control_client *client, const struct control *asked)
{
	const struct shell *shell = client->shell;
	const struct rules *rules = &shell->rules;
	struct mono now = mono_now();
	struct control status;
	uint64_t below = UINT64_MAX;
	status_fill(shell, now, &status);
	control_say(client, &status);
	say_waits(client, shell, now);
	/* Newest first, without sorting the table itself. */
	for (uint64_t said = 0; said < asked->ask_status.runs_max; said++) {
		const struct rules_run *newest = NULL;
		for (uint32_t i = 0; i < rules->run_count; i++) {
			const struct rules_run *run = &rules->runs[i];
			if (run->state != RUN_FREE && run->sequence < below &&
				(!newest || run->sequence > newest->sequence))
				newest = run;
		}
		if (!newest)
			break;
		say_run(client, newest, now);
		below = newest->sequence;
	}
	control_done(client, TEXT_NONE);
}

/* A child reads the disk for the client and writes to its socket; the client's place is free at
 * once, and a stuck disk leaves a stuck child. */
static void answer_by_child(struct control_client *client,
	void (*answer)(struct store_job *job, const struct control *asked),
	const struct control *asked)
{
	struct shell *shell = client->shell;
	if (child_count(shell, CHILD_ANSWER) >= SHELL_ANSWERS_MAX) {
		control_refuse(client, "too many such questions at once: try again");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct store_job job = {.config = &shell->config,
			.runs = shell->runs_folder,
			.state = -1,
			.flight = shell->flight,
			.out = client->channel.fd};
		signal(SIGPIPE, SIG_IGN);
		signal(SIGTERM, SIG_DFL);
		signal(SIGCHLD, SIG_DFL); /* it may have children of its own */
		job.health = status_health(shell, &job.why);
		lock_forget(shell->lock);
		fcntl(client->channel.fd, F_SETFL, 0);
		store_child_keep_only(&job);
		answer(&job, asked);
		_exit(0);
	}
	if (pid < 0) {
		control_refuse(client, "fork failed: the host is short of processes or memory");
		return;
	}
	child_add(shell, CHILD_ANSWER, pid, -1)->kill_after_ms = STORE_KILL_MS;
	control_client_drop(client);
}

static void child_runs(struct store_job *job, const struct control *asked)
{
	store_child_list(job, (uint32_t)asked->ask_runs.runs_max);
}

static void child_files(struct store_job *job, const struct control *asked)
{
	store_child_files(job, asked->ask_files.run);
}

/* The agent's own health comes first, in the words of nfctl status. */
static void child_doctor(struct store_job *job, const struct control *asked)
{
	struct doctor doctor = {
		.config = job->config, .is_agents = true, .say = store_child_say, .data = job};
	(void)asked;
	doctor_say(&doctor, (enum finding)job->health, "agent", "%s", job->why);
	doctor_run(&doctor);
	store_child_say(job, &(struct control){.type = CONTROL_DONE, .done = {.note = TEXT_NONE}});
}

static void answer_doctor(struct control_client *client, const struct control *asked)
{
	answer_by_child(client, child_doctor, asked);
}

static void child_flight(struct store_job *job, const struct control *asked)
{
	store_child_flight(job, asked->ask_flight.most);
}

static void answer_flight(struct control_client *client, const struct control *asked)
{
	answer_by_child(client, child_flight, asked);
}

static void answer_runs(struct control_client *client, const struct control *asked)
{
	answer_by_child(client, child_runs, asked);
}

static void answer_files(struct control_client *client, const struct control *asked)
{
	if (asked->ask_files.run.size > 0 && !record_name_is_legal(asked->ask_files.run))
		control_refuse(client, "that is no name of a run");
	else
		answer_by_child(client, child_files, asked);
}

static void answer_run(struct control_client *client, const struct control *asked)
{
	struct rules_event event = shell_event(EVENT_ASKED_RUN);
	event.asked_run.client = client->id;
	event.asked_run.command = asked->ask_run.command;
	client->is_waiting = true;
	shell_turn(client->shell, &event);
}

static void answer_cancel(struct control_client *client, const struct control *asked)
{
	struct rules_event event = shell_event(EVENT_ASKED_CANCEL);
	event.asked_cancel.client = client->id;
	event.asked_cancel.run = asked->ask_cancel.run;
	event.asked_cancel.is_kill = asked->ask_cancel.kill;
	client->is_waiting = true;
	shell_turn(client->shell, &event);
}

static void order_reload(struct control_client *client)
{
	client->is_waiting = true;
	reload_begin(client->shell, client->id);
}

static void order_kick(struct control_client *client)
{
	struct rules_event event = shell_event(EVENT_KICKED);
	bool is_alone = client->shell->config.protocol == PROTOCOL_NONE;
	shell_turn(client->shell, &event);
	control_done(client, text_of(is_alone ? "there is no dashboard to reach: standalone"
					      : "the network and the dashboard are tried now"));
}

static void ask_pause(
	struct control_client *client, bool is_on, uint64_t for_ms, struct text reason)
{
	struct rules_event event = shell_event(EVENT_ASKED_PAUSE);
	event.asked_pause.client = client->id;
	event.asked_pause.is_on = is_on;
	event.asked_pause.for_ms = for_ms;
	event.asked_pause.reason = reason;
	client->is_waiting = true;
	shell_turn(client->shell, &event);
}

struct why_said {
	struct control_client *client;
	uint64_t left;
};

static void say_why(void *data, const struct control *control)
{
	struct why_said *said = data;
	if (said->left == 0)
		return;
	said->left--;
	control_say(said->client, control);
}

static void answer_why(struct control_client *client, const struct control *asked)
{
	struct why_said said = {client, asked->ask_why.most};
	why_list(client->shell, mono_now(), say_why, &said);
	control_done(client, TEXT_NONE);
}

static void answer_pause(struct control_client *client, const struct control *asked)
{
	uint64_t for_ms = asked->ask_pause.for_ms;
	if (for_ms != PAUSE_FOR_EVER && for_ms > PAUSE_MS_MAX)
		control_refuse(client, "a pause is for a year at most");
	else
		ask_pause(client, true, for_ms, asked->ask_pause.reason);
}

static void answer_order(struct control_client *client, const struct control *asked)
{
	switch ((enum order)asked->ask_order.order) {
	case ORDER_RELOAD: order_reload(client); return;
	case ORDER_KICK: order_kick(client); return;
	case ORDER_RESUME: ask_pause(client, false, 0, TEXT_NONE); return;
	}
	control_refuse(client, "there is no such order");
}

static const struct {
	enum control_type type;
	bool is_open; /* to anyone who can reach the socket */
	void (*answer)(struct control_client *client, const struct control *asked);
} answers[] = {
	{CONTROL_ASK_STATUS, true, answer_status},
	{CONTROL_ASK_WHY, true, answer_why},
	{CONTROL_ASK_DOCTOR, false, answer_doctor},
	{CONTROL_ASK_FLIGHT, false, answer_flight},
	{CONTROL_ASK_RUNS, false, answer_runs},
	{CONTROL_ASK_FILES, false, answer_files},
	{CONTROL_ASK_RUN, false, answer_run},
	{CONTROL_ASK_CANCEL, false, answer_cancel},
	{CONTROL_ASK_PAUSE, false, answer_pause},
	{CONTROL_ASK_ORDER, false, answer_order},
};

void control_answer(struct control_client *client, const struct control *asked)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (answers[i].type != asked->type)
			continue;
		if (answers[i].is_open || client->may_change)
			answers[i].answer(client, asked);
		else
			control_refuse(client, "not allowed: be root, the agent's user, or in "
					       "group " CONTROL_GROUP);
		return;
	}
	control_refuse(client, "that is an answer, not a question");
}
