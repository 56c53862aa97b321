/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "worker/core/news.h"

static struct mono retry_of(const struct agent *agent)
{
	enum link link = agent_link(agent);
	bool is_waiting = agent->state == AGENT_WORKING &&
			  (link == LINK_WAITING || link == LINK_REFUSED);
	return is_waiting ? agent->contact.due : MONO_NEVER;
}

void news_init(struct news *news)
{
	*news = (struct news){.link = LINK_NONE, .retry = MONO_NEVER};
}

bool news_is(struct news *news, const struct agent *agent)
{
	const struct news now = {.link = agent_link(agent), .retry = retry_of(agent)};
	if (now.link == news->link && now.retry.ns == news->retry.ns)
		return false;
	*news = now;
	return true;
}

static struct text detail_of(const struct contact *contact)
{
	switch (contact->state) {
	case CONTACT_CLOSED: return text_of("waiting for the gate");
	case CONTACT_TRYING: return text_of("registering with the dashboard");
	case CONTACT_UP: return TEXT_NONE; /* that says it */
	case CONTACT_WAITING:
	case CONTACT_HELD:
	case CONTACT_REFUSED: return text_of(contact->reason);
	}
	return TEXT_NONE;
}

struct message news_pong(const struct agent *agent, struct mono now, uint64_t sequence)
{
	const struct contact *contact = &agent->contact;
	struct mono retry = retry_of(agent);
	return (struct message){.type = MESSAGE_PONG,
		.pong = {.sequence = sequence,
			.link = agent_link(agent),
			.contact_ms = contact->good.ns == MONO_NEVER.ns
					      ? UINT64_MAX
					      : mono_ms_since(now, contact->good),
			.retry_ms = retry.ns == MONO_NEVER.ns ? UINT64_MAX
							      : mono_ms_until(now, retry),
			.events = agent->steps,
			.detail = detail_of(contact)}};
}
