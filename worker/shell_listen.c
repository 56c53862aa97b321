/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the supervisor says: hello begins the core, a ping is answered here, all else is an event.
 */
#include "worker/shell.h"

#include <errno.h>
#include <string.h>

#include "proto/base/log.h"
#include "worker/heard.h"

static void fail(struct shell *shell, const char *what)
{
	log_error("%s", what);
	shell->exit_code = 1;
	shell->state = SHELL_DONE;
}

static bool connect_to(struct shell *shell, uint64_t protocol)
{
	if (protocol == PROTOCOL_HTTP)
		shell->http = http_create(shell->base, &shell->transport);
	if (protocol == PROTOCOL_WEBSOCKET) {
		facts_program(&shell->program);
		shell->websocket = websocket_create(shell->base, &shell->transport, &shell->inbox);
	}
	return shell->http || shell->websocket || protocol == PROTOCOL_NONE;
}

static void on_hello(struct shell *shell, const struct message_hello *hello)
{
	const struct agent_limits limits = {.protocol = hello->protocol,
		.interval_ms = hello->interval_ms ? hello->interval_ms : 1,
		.spread_ms = hello->spread_ms,
		.seed = hello->seed,
		.has_own_token = hello->own_token.size > 0,
		.has_shared_token = hello->shared_token.size > 0,
		.paused = hello->paused};
	log_set_level((enum log_level)hello->log_level);
	shell->is_verbose = hello->log_level >= LOG_LEVEL_DEBUG;
	if (host_init(&shell->host, hello) < 0 ||
		tokens_init(&shell->tokens, hello->own_token, hello->shared_token) < 0) {
		fail(shell, "out of memory");
		return;
	}
	agent_init(&shell->agent, &limits);
	flight_init(&shell->flight, shell->flight_fd, wall_now(), &limits);
	transport_init(&shell->transport, &shell->host);
	follow_init(&shell->follow, shell->host.runs_dir);
	shell->source = (struct facts_source){
		.root = "", .nixpkgs_version = shell->host.nixpkgs_version};
	streamer_init(&shell->streamer, shell->host.runs_dir);
	if (repository_start(&shell->repository, shell->base, shell->host.repo_dir,
		    hello->protocol == PROTOCOL_WEBSOCKET) < 0) {
		fail(shell, "nobody can look at the repository");
		return;
	}
	if (!connect_to(shell, hello->protocol)) {
		fail(shell, "libcurl cannot be used");
		return;
	}
	shell->state = SHELL_WORKING;
	shell_say(shell, &(struct message){.type = MESSAGE_READY, .ready = {hello->epoch}});
}

void shell_pong(struct shell *shell)
{
	struct message pong = news_pong(&shell->agent, shell->now, shell->ping);
	/* Of a link that is not up there is something to say already. */
	if (pong.pong.link == LINK_UP && shell->repository.state == REPOSITORY_HANGING)
		pong.pong.detail = text_of("the repository's disk does not answer");
	shell_say(shell, &pong);
}

static void on_probed(struct shell *shell, const struct message_probed *probed)
{
	char value[COMMIT_BYTES_MAX + 1];
	bool good = probed->outcome == OUTCOME_EXITED && probed->code == 0 &&
		    facts_probed(probed->name, probed->output, value);
	inbox_add(&shell->inbox,
		&(struct agent_event){.type = EVENT_PROBED,
			.probed = {probed->request, good, good ? text_of(value) : TEXT_NONE,
				wall_ms(wall_now())}});
}

/* What more than an event it is. */
static void note(struct shell *shell, const struct message *message)
{
	if (message->type == MESSAGE_ENDED) {
		facts_changed(&shell->source);
		repository_changed(&shell->repository);
	}
	if (message->type == MESSAGE_ENDED && message->ended.withheld)
		text_copy(message->ended.run, shell->withheld, sizeof(shell->withheld));
	if (message->type == MESSAGE_KEPT && !message->kept.kept)
		log_warn("the token is not on disk: %.*s", TEXT_ARGS(message->kept.reason));
}

static void on_message(struct shell *shell, const struct message *message)
{
	struct agent_event event;
	if (message->type == MESSAGE_PING) {
		shell->ping = message->ping.sequence;
		shell_pong(shell);
	} else if (message->type == MESSAGE_PROBED) {
		on_probed(shell, &message->probed);
	} else if (heard_event(message, wall_now(), &event)) {
		note(shell, message);
		inbox_add(&shell->inbox, &event);
	} else {
		fail(shell, "the supervisor said what is not its to say");
	}
}

static void on_payload(struct shell *shell, struct text payload)
{
	struct message message;
	enum schema_verdict verdict = message_decode(payload, &message);
	if (verdict != SCHEMA_GOOD) {
		log_error("the supervisor's message is %s", schema_verdict_name(verdict));
		fail(shell, "giving up");
		return;
	}
	if (shell->state == SHELL_WORKING)
		on_message(shell, &message);
	else if (shell->state == SHELL_SILENT && message.type == MESSAGE_HELLO)
		on_hello(shell, &message.hello);
	else if (shell->state == SHELL_SILENT && message.type == MESSAGE_STOP)
		shell->state = SHELL_DONE;
	else if (shell->state == SHELL_SILENT)
		fail(shell, "the supervisor said something before hello");
}

/* False where the inbox is full: there may be more. */
static bool hear_all(struct shell *shell)
{
	struct text payload;
	while (shell->state != SHELL_DONE && inbox_has_room(&shell->inbox)) {
		if (!channel_next(&shell->channel, &payload))
			return true;
		on_payload(shell, payload);
	}
	return false;
}

void shell_listen(struct shell *shell)
{
	/* What had no room before lies where the next is read to. */
	if (!hear_all(shell))
		return;
	channel_receive(&shell->channel);
	shell->channel_is_ready = !hear_all(shell);
}

void shell_say(struct shell *shell, const struct message *message)
{
	/* A turn begins only with room for all it says, so only a programmer's error can fail. */
	if (message_encode(message, channel_out(&shell->channel)) < 0) {
		log_error("cannot say %s: %s", message_name(message->type), strerror(errno));
		fail(shell, "giving up");
		return;
	}
	channel_flush(&shell->channel);
}
