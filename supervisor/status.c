/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/status.h"

#include <unistd.h>

static uint64_t gate_health(const struct rules *rules, const char **why)
{
	switch (rules->gate.state) {
	case GATE_SHUT: *why = "waiting for the network"; return 1;
	case GATE_NONE:
	case GATE_OPEN:
	case GATE_FORCED: break;
	}
	return 0;
}

static uint64_t worker_health(const struct rules *rules, const char **why)
{
	switch (rules->worker.state) {
	case WORKER_NONE:
	case WORKER_UP: return 0;
	case WORKER_WAITING:
		*why = rules->worker.is_safe_mode
			       ? "the worker dies again and again: it is tried every 5 minutes"
			       : "the worker ended and is started again";
		return rules->worker.is_safe_mode ? 2 : 1;
	case WORKER_STARTING: *why = "the worker starts"; return 1;
	case WORKER_DEGRADED: *why = "the worker answers late"; return 1;
	case WORKER_ENDING: *why = "the worker is being replaced"; return 1;
	}
	return 0;
}

static uint64_t link_health(const struct rules *rules, const char **why)
{
	if (rules->protocol == PROTOCOL_NONE)
		return 0;
	switch (rules->worker.link) {
	case LINK_UP: return 0;
	case LINK_REFUSED: *why = "the dashboard refuses the token"; return 2;
	case LINK_NONE:
	case LINK_WAITING:
	case LINK_CONNECTING: *why = "no contact with the dashboard"; return 1;
	}
	return 0;
}

uint64_t status_health(const struct shell *shell, const char **why)
{
	const struct rules *rules = &shell->rules;
	uint64_t health;
	if (rules->is_stopping) {
		*why = "stopping";
		return 1;
	}
	/* The worse of the two; a worker that starts behind a shut gate waits for the gate. */
	const char *worker_why = "";
	uint64_t worker = worker_health(rules, &worker_why);
	health = gate_health(rules, why);
	if (worker > health) {
		health = worker;
		*why = worker_why;
	}
	if (health == 0)
		health = link_health(rules, why);
	/* Before what is no worse, and never instead of a failure. */
	if (health < 2 && shell->store_trouble[0]) {
		*why = shell->store_trouble;
		return 1;
	}
	if (health == 0 && !rules->token.is_kept) {
		*why = "the token that the dashboard gave is not on disk";
		health = 1;
	}
	if (health == 0 && rules->leave.trouble[0]) {
		*why = rules->leave.trouble;
		health = 1;
	}
	if (health == 0 && shell->config_trouble[0]) {
		*why = shell->config_trouble;
		return 1;
	}
	if (health == 0 && rules->pause.is_on)
		*why = rules->pause.sentence;
	else if (health == 0 && rules_leftover_run(rules) != RULES_NO_RUN)
		*why = "processes of a command that ended are left: the next one waits until "
		       "they are gone";
	else if (health == 0)
		*why = rules_busy_run(rules) == RULES_NO_RUN ? "all is well" : "a command runs";
	return health;
}

void status_fill(const struct shell *shell, struct mono now, struct control *out)
{
	const struct rules *rules = &shell->rules;
	const struct rules_worker *worker = &rules->worker;
	const char *why;
	uint64_t health = status_health(shell, &why);
	bool has_contact = worker->contact.ns != MONO_NEVER.ns && worker->pid > 0;
	bool is_waiting = worker->retry.ns != MONO_NEVER.ns && worker->pid > 0;
	*out = (struct control){.type = CONTROL_STATUS,
		.status = {
			.health = health,
			.why = text_of(why),
			.version = text_of(NIXFLEET_VERSION),
			.host = text_of(shell->config.host),
			.url = text_of(shell->config.url),
			.state_dir = text_of(shell->config.state_dir),
			.pid = (uint64_t)getpid(),
			.up_ms = mono_ms_since(now, shell->started),
			.gate = text_of(rules_gate_name(rules->gate.state)),
			.gate_reason = text_of(rules->gate.reason),
			.gate_ms = mono_ms_since(now, rules->gate.since),
			.worker = text_of(rules_worker_name(worker)),
			.worker_pid = (uint64_t)worker->pid,
			.worker_ms = mono_ms_since(now, worker->since),
			.worker_starts = shell->worker_starts,
			.link = worker->link,
			.link_detail = text_of(worker->detail),
			.contact_ms = has_contact ? mono_ms_since(now, worker->contact)
						  : UINT64_MAX,
			.retry_ms = is_waiting ? mono_ms_until(now, worker->retry) : UINT64_MAX,
			.queued = rules_count_queued(rules),
			.owed = rules_count_owed(rules),
			.store = text_of(shell->store_trouble),
			.poison = rules_count_poison(rules),
			.leave = text_of(rules->leave.trouble),
			.isolation = text_of(isolation_text(shell->isolation)),
			.token_kept = rules->token.is_kept,
			.pause = rules->pause.is_on ? text_of(rules->pause.sentence) : TEXT_NONE,
			.pause_left_ms = rules_pause_left_ms(rules),
		}};
}
