/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The dashboard's token for this host: kept on the disk, or tried again until it is. */
#include "supervisor/rules_parts.h"

void token_told(struct rules *rules, struct text text, struct rules_actions *actions)
{
	struct rules_token *token = &rules->token;
	text_copy(text, token->text, sizeof(token->text));
	token->is_kept = false;
	token->is_answered = false;
	token->retry = MONO_NEVER;
	token->is_again = token->is_storing;
	if (token->is_storing)
		return;
	token->is_storing = true;
	rules_emit_store(actions, ACT_TOKEN, RULES_NO_RUN);
}

void token_due(struct rules *rules, struct rules_actions *actions)
{
	struct rules_token *token = &rules->token;
	if (!mono_reached(rules->now, token_next(rules)))
		return;
	token->retry = MONO_NEVER;
	token->is_again = false;
	token->is_storing = true;
	rules_emit_store(actions, ACT_TOKEN, RULES_NO_RUN);
}

struct mono token_next(const struct rules *rules)
{
	return rules->token.is_storing ? MONO_NEVER : rules->token.retry;
}

void token_stored(struct rules *rules, int error, struct rules_actions *actions)
{
	struct rules_token *token = &rules->token;
	token->is_storing = false;
	token->is_kept = error == 0 && !token->is_again;
	if (token->is_again || error != 0)
		token->retry = mono_after(rules->now, token->is_again ? 0 : RETRY_LAST_MS);
	if (token->is_answered && (error != 0 || token->is_again))
		return; /* it was told that it is not kept; the retry is ours */
	token->is_answered = true;
	rules_tell(rules, actions,
		&(struct message){.type = MESSAGE_KEPT,
			.kept = {.kept = error == 0,
				.reason = error ? text_of("the disk did not take it")
						: TEXT_NONE}});
}
