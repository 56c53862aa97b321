/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Carries out what the core wants of a WebSocket dashboard. A message that finds no room is one
 * that the dashboard did not take for long: the connection is given up, and what is owed stays. */
#include <string.h>

#include "proto/base/log.h"
#include "worker/outgoing.h"
#include "worker/shell.h"

static void say(struct shell *shell, int made)
{
	struct text message = {(const char *)shell->body.data, shell->body.size};
	if (!websocket_is_open(shell->websocket))
		return; /* closed is on its way to the core */
	if (made < 0 || !websocket_say(shell->websocket, message)) {
		log_warn("a message to the dashboard cannot be sent");
		websocket_close(shell->websocket, shell->agent.session.id,
			text_of("the dashboard does not read"));
	}
}

static struct outgoing outgoing(struct shell *shell)
{
	return (struct outgoing){.host = &shell->host,
		.facts = &shell->facts,
		.program = &shell->program,
		.lock_hash = shell->repository.known.lock_hash,
		.payload = &shell->payload};
}

static void announce(struct shell *shell, const struct agent_action *action)
{
	struct outgoing all = outgoing(shell);
	say(shell, outgoing_register(&all, &action->announce, &shell->body));
}

static void beat(struct shell *shell, const struct agent_action *action)
{
	struct outgoing all = outgoing(shell);
	say(shell, outgoing_heartbeat(&all, &action->beat, &shell->body));
}

static void ping(struct shell *shell, const struct agent_action *action)
{
	uint64_t sequence = action->ping.sequence;
	if (!websocket_is_open(shell->websocket))
		return;
	if (websocket_ping(shell->websocket, sequence))
		inbox_add(&shell->inbox,
			&(struct agent_event){.type = EVENT_PINGED,
				.pinged = {sequence, streamer_pinged(&shell->streamer)}});
}

static void report(struct shell *shell, const struct agent_action *action)
{
	log_info("the dashboard is told how %.*s ended", TEXT_ARGS(action->report.command));
	say(shell, outgoing_status(&action->report, &shell->body));
}

static void reject(struct shell *shell, const struct agent_action *action)
{
	say(shell, outgoing_rejected(&action->reject, &shell->body));
}

static void stage(struct shell *shell, const struct agent_action *action)
{
	say(shell, outgoing_stage(&action->stage, &shell->body));
}

static void tests(struct shell *shell, const struct agent_action *action)
{
	say(shell, outgoing_tests(&action->tests, &shell->body));
	say(shell, outgoing_tests_stage(&action->tests, &shell->body));
}

static void line(struct shell *shell, const struct agent_action *action)
{
	char command[COMMAND_BYTES_MAX + 1];
	text_copy(action->line.command, command, sizeof(command));
	say(shell, outgoing_line(action->line.text, "stderr", command, true, &shell->body));
}

static void stream(struct shell *shell, const struct agent_action *action)
{
	/* Workers before this one died over its output: the outcome is told without. */
	if (text_is(action->stream.run, shell->withheld)) {
		if (action->stream.ended)
			inbox_add(&shell->inbox, &(struct agent_event){.type = EVENT_STREAMED,
							 .streamed = {action->stream.run}});
		return;
	}
	streamer_start(
		&shell->streamer, shell->base, &action->stream, shell->now, shell->websocket);
}

static void unstream(struct shell *shell, const struct agent_action *action)
{
	(void)action;
	streamer_stop(&shell->streamer, shell->websocket);
}

static void open_connection(struct shell *shell, const struct agent_action *action)
{
	websocket_open(shell->websocket, action->connect.id,
		tokens_get(&shell->tokens, action->connect.token));
	websocket_work(shell->websocket, mono_now());
}

static void close_connection(struct shell *shell, const struct agent_action *action)
{
	websocket_close(shell->websocket, action->close.id, action->close.reason);
}

static void sent(struct shell *shell, const struct agent_action *action)
{
	shell_say(shell, &(struct message){.type = MESSAGE_SENT,
				 .sent = {action->sent.run, action->sent.offset}});
}

static void cancel(struct shell *shell, const struct agent_action *action)
{
	log_info("the dashboard wants the command to end%s", action->cancel.hard ? " now" : "");
	shell_say(shell, &(struct message){.type = MESSAGE_CANCEL,
				 .cancel = {TEXT_NONE, action->cancel.hard}});
}

static void restart(struct shell *shell, const struct agent_action *action)
{
	shell_say(
		shell, &(struct message){.type = MESSAGE_LEAVE, .leave = {action->restart.reason}});
}

static const struct {
	enum agent_action_type type;
	void (*perform)(struct shell *shell, const struct agent_action *action);
} performers[] = {
	{ACTION_CONNECT, open_connection},
	{ACTION_CLOSE, close_connection},
	{ACTION_ANNOUNCE, announce},
	{ACTION_BEAT, beat},
	{ACTION_PING, ping},
	{ACTION_REPORT, report},
	{ACTION_REJECT, reject},
	{ACTION_STAGE, stage},
	{ACTION_TESTS, tests},
	{ACTION_STREAM, stream},
	{ACTION_UNSTREAM, unstream},
	{ACTION_LINE, line},
	{ACTION_SENT, sent},
	{ACTION_CANCEL, cancel},
	{ACTION_RESTART, restart},
};

void shell_perform_session(struct shell *shell, const struct agent_action *action)
{
	for (size_t i = 0; i < sizeof(performers) / sizeof(performers[0]); i++) {
		if (performers[i].type == action->type)
			performers[i].perform(shell, action);
	}
}
