/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Carries the core's actions out. What fails here becomes the completion event, never a result. */
#include "worker/shell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "worker/reply.h"
#include "worker/run_file.h"
#include "worker/tail.h"

static void end_look(struct shell *shell)
{
	const struct facts_checkout *checkout = &shell->repository.known;
	bool wants_clone = shell->host.repo_url[0] && checkout->verdict == FACTS_COMMIT_NONE &&
			   shell->repository.state != REPOSITORY_HANGING;
	facts_look(&shell->source, shell->now, wall_now(), &shell->facts);
	inbox_add(&shell->inbox,
		&(struct agent_event){.type = EVENT_LOOKED,
			.looked = {shell->look, text_of(checkout->commit),
				checkout->verdict == FACTS_COMMIT_ASK, shell->facts.ask_system,
				wall_ms(wall_now()), wants_clone}});
	shell->look = 0;
}

static void look(struct shell *shell, uint64_t id)
{
	/* The core does not wait for the one before any more. */
	if (shell->look != 0)
		end_look(shell);
	shell->look = id;
	repository_ask(&shell->repository, shell->now);
	shell_take_look(shell);
}

void shell_take_look(struct shell *shell)
{
	if (shell->look != 0 && repository_is_settled(&shell->repository))
		end_look(shell);
}

/* The request could not even be put together. */
static void answer_none(struct shell *shell, uint64_t id, const char *why)
{
	inbox_add(&shell->inbox, &(struct agent_event){.type = EVENT_ANSWER,
					 .answer = {.id = id,
						 .result = ANSWER_NONE,
						 .command = TEXT_NONE,
						 .reason = text_of(why)}});
}

static void post(struct shell *shell, uint64_t id, uint64_t token, const char *what, int made)
{
	char host[HOST_BYTES_MAX + 1];
	char path[HTTP_PATH_BYTES_MAX];
	if (made < 0) {
		answer_none(shell, id, strerror(errno));
		return;
	}
	payload_host_id(shell->host.host, host);
	snprintf(path, sizeof(path), "/api/hosts/%s/%s", host, what);
	http_post(shell->http, id, path, tokens_get(&shell->tokens, token),
		(struct text){(const char *)shell->body.data, shell->body.size});
	http_work(shell->http, mono_now());
}

static void heartbeat(struct shell *shell, const struct agent_action_heartbeat *heartbeat)
{
	int made = payload_heartbeat(
		&shell->payload, &shell->host, &shell->facts, heartbeat, &shell->body);
	post(shell, heartbeat->id, heartbeat->token, "register", made);
}

static void status(struct shell *shell, const struct agent_action_status *status)
{
	struct bytes output;
	bytes_init(&output, 2 * OUTPUT_CHARS_MAX);
	/* Workers before this one died over it: the outcome is told without. */
	bool is_withheld = status->run.size > 0 && text_is(status->run, shell->withheld);
	own_fd fd = is_withheld ? -1 : run_file_open(shell->host.runs_dir, status->run, ".out");
	/* What never ran has no output, and what was kept too long has none any more. */
	if (fd >= 0 && tail_read(fd, OUTPUT_CHARS_MAX, &output) < 0)
		log_warn("the output of %.*s cannot be read: %s", TEXT_ARGS(status->run),
			strerror(errno));
	int made = payload_status(
		status, (struct text){(const char *)output.data, output.size}, &shell->body);
	bytes_finish(&output);
	post(shell, status->id, status->token, "status", made);
}

static void progress(struct shell *shell, const struct agent_action_progress *progress)
{
	struct record record;
	struct payload_counts counts = {.stage = ""};
	if (run_file_record(shell->host.runs_dir, progress->run, &record) == 0)
		counts = (struct payload_counts){record.progress_current, record.progress_total,
			record.progress_passed, record.stage};
	int made = payload_progress(progress, &counts, &shell->body);
	post(shell, progress->id, progress->token, "test-progress", made);
}

static void hurry(struct shell *shell, uint64_t id)
{
	if (shell->http)
		http_hurry(shell->http, id);
	if (shell->websocket)
		websocket_hurry(shell->websocket, id);
}

static void hand_over(struct shell *shell, const struct agent_action_run *run)
{
	log_info("the dashboard asks for %.*s", TEXT_ARGS(run->command));
	shell_say(shell, &(struct message){.type = MESSAGE_RUN, .run = {run->id, run->command}});
}

static void probe(struct shell *shell, const struct agent_action_probe *probe)
{
	shell_say(
		shell, &(struct message){.type = MESSAGE_PROBE, .probe = {probe->id, probe->name}});
}

static void keep(struct shell *shell, bool again)
{
	log_info("%s the host's own token", again ? "trying again to keep" : "keeping");
	shell_say(shell, &(struct message){.type = MESSAGE_TOKEN,
				 .token = {text_of(tokens_get(&shell->tokens, TOKEN_OWN))}});
}

static void warn_unkept(bool refused)
{
	log_warn(
		"THE HOST'S NEW TOKEN IS NOT ON DISK (%s): it is used from memory, and lost if the "
		"agent ends before it can be kept",
		refused ? "it was refused" : "no answer yet");
}

static void delivered(struct shell *shell, struct text run)
{
	log_info("the dashboard has the outcome of %.*s", TEXT_ARGS(run));
	shell_say(shell, &(struct message){.type = MESSAGE_DELIVERED, .delivered = {run}});
}

static void undeliverable(struct shell *shell, const struct agent_action_undeliverable *action)
{
	log_warn("the outcome of %.*s cannot be delivered: %.*s", TEXT_ARGS(action->run),
		TEXT_ARGS(action->reason));
	shell_say(shell, &(struct message){.type = MESSAGE_UNDELIVERABLE,
				 .undeliverable = {action->run, action->reason}});
}

static void leave(struct shell *shell)
{
	/* What is queued for the supervisor goes out first, within what is left of its grace. */
	shell->state = SHELL_LEAVING;
	shell->leave_due = mono_after(shell->now, WORKER_STOP_MS / 10);
}

void shell_perform(struct shell *shell, const struct agent_action *action)
{
	switch (action->type) {
	case ACTION_LOOK: look(shell, action->look.id); return;
	case ACTION_PROBE: probe(shell, &action->probe); return;
	case ACTION_HEARTBEAT: heartbeat(shell, &action->heartbeat); return;
	case ACTION_STATUS: status(shell, &action->status); return;
	case ACTION_PROGRESS: progress(shell, &action->progress); return;
	case ACTION_HURRY: hurry(shell, action->hurry.id); return;
	case ACTION_RUN: hand_over(shell, &action->run); return;
	case ACTION_KEEP: keep(shell, action->keep.again); return;
	case ACTION_UNKEPT: warn_unkept(action->unkept.refused); return;
	case ACTION_FOLLOW:
		follow_start(&shell->follow, shell->base, action->follow.run, shell->now);
		return;
	case ACTION_UNFOLLOW: follow_stop(&shell->follow); return;
	case ACTION_DELIVERED: delivered(shell, action->delivered.run); return;
	case ACTION_UNDELIVERABLE: undeliverable(shell, &action->undeliverable); return;
	case ACTION_OVERFLOW:
		log_warn("too many owed runs at once: %.*s waits for the next worker",
			TEXT_ARGS(action->overflow.run));
		return;
	case ACTION_LEAVE: leave(shell); return;
	case ACTION_CONNECT:
	case ACTION_CLOSE:
	case ACTION_ANNOUNCE:
	case ACTION_BEAT:
	case ACTION_PING:
	case ACTION_REPORT:
	case ACTION_REJECT:
	case ACTION_STAGE:
	case ACTION_TESTS:
	case ACTION_STREAM:
	case ACTION_UNSTREAM:
	case ACTION_LINE:
	case ACTION_SENT:
	case ACTION_CANCEL:
	case ACTION_RESTART: shell_perform_session(shell, action); return;
	}
}

static void take_token(struct shell *shell, struct answer *answer)
{
	if (answer->token_verdict == ANSWER_TOKEN_ILLEGAL)
		log_warn("the dashboard handed out a token that is none: it is not used");
	if (answer->token_verdict == ANSWER_TOKEN_NEW &&
		tokens_take(&shell->tokens, answer->token) < 0)
		log_error("no memory for the host's new token");
	bytes_wipe(answer->token, sizeof(answer->token));
}

void shell_take_reply(struct shell *shell)
{
	struct http_reply http;
	struct reply reply;
	struct agent_event event;
	if (!shell->http || !http_take(shell->http, &http))
		return;
	reply_read(&http, &reply, &event);
	take_token(shell, &reply.answer);
	tokens_hide(&shell->tokens, reply.reason);
	if (event.answer.code == 422)
		log_warn("the dashboard objects: %s", reply.reason);
	inbox_add(&shell->inbox, &event);
}
